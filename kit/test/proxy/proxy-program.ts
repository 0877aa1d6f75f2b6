/**
 * A proxy in a process of its own, which tells what it holds when it is asked.
 */
import { type ProxyOptions, startProxy } from '../../src/index.ts'

const proxy = await startProxy(JSON.parse(process.argv[2] ?? '') as ProxyOptions)

process.on('message', () => {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  process.send?.(heapUsed + external)
})
process.once('disconnect', () => process.exit())
process.send?.(proxy.url)
