import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oldestSam, samCommands, samProblem } from '../../local/sam-commands.ts'
import { standInIdentity } from '../../local/stack.ts'
import { readPage } from '../support/pages.ts'

const { AWS_REGION: region, ...credentials } = standInIdentity
const target = { region, credentials } as const
const postgres = {
  ...target,
  engine: 'postgres',
  functionName: 'PostgresNotesFunction',
  environmentFile: '.local/postgres-6432.json',
} as const
const { text } = readPage('docs/run-locally.md')

test('docs/run-locally.md shows the commands that are printed', () => {
  const mac = samCommands(postgres, { platform: 'darwin', arch: 'arm64' })
  const linux = samCommands(postgres, { platform: 'linux', arch: 'x64' })
  for (const command of [mac.invoke, mac.start, mac.call, linux.invoke])
    assert.ok(text.includes(`\n${command}\n`), command)
})

test('docs/run-locally.md names the oldest SAM CLI', () => {
  assert.ok(text.replaceAll('\n', ' ').includes(` ${oldestSam.replace(/\.0$/, '')} or newer`))
})

test('SAM CLI is told the engine, the processor and the way out of the container', () => {
  const { invoke, start } = samCommands(
    {
      ...target,
      engine: 'mysql',
      functionName: 'MysqlNotesFunction',
      environmentFile: '.local/mysql-6306.json',
    },
    { platform: 'linux', arch: 'x64' },
  )
  for (const command of [invoke, start]) {
    assert.match(command, / --parameter-overrides Engine=mysql Architecture=x86_64 --add-host host\.docker/)
    assert.match(
      command,
      /^AWS_ACCESS_KEY_ID=defaultkey AWS_SECRET_ACCESS_KEY=defaultsecret AWS_SESSION_TOKEN= sam /,
    )
  }
  const desktop = samCommands(postgres, { platform: 'darwin', arch: 'arm64' })
  assert.doesNotMatch(desktop.invoke, /--parameter-overrides|--add-host/)
})

for (const [output, isOld] of [
  ['SAM CLI, version 1.146.0\n', true],
  ['SAM CLI, version 1.99.0', true],
  ['SAM CLI, version 1.147.0', false],
  ['SAM CLI, version 1.170.1', false],
  ['SAM CLI, version 2.0.0', false],
  // There is none, or it says something else.
  ['', false],
] as const) {
  test(`of ${JSON.stringify(output)} it says ${isOld ? 'that it is too old' : 'nothing'}`, () => {
    const problem = samProblem(output)
    if (isOld) assert.match(problem ?? '', /nodejs24\.x: 1\.147\.0 or newer/)
    else assert.equal(problem, undefined)
  })
}
