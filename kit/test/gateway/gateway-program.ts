/**
 * A gateway in a process of its own, which tells what it holds when it is asked.
 */
import { type GatewayOptions, startGateway } from '../../src/index.ts'
import type { GatewayReport } from './gateway-process.ts'

const gateway = await startGateway(JSON.parse(process.argv[2] ?? '') as GatewayOptions)

process.on('message', () => {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  const resources: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) {
    // Those of the talk with the parent.
    if (kind !== 'PipeWrap' && kind !== 'Immediate') resources[kind] = (resources[kind] ?? 0) + 1
  }
  const report: GatewayReport = { open: gateway.stats().open, usedBytes: heapUsed + external, resources }
  process.send?.(report)
})
process.once('disconnect', () => process.exit())
process.send?.({ port: gateway.port, ca: gateway.ca })
