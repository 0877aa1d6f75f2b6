import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { parse } from '@cdktf/hcl2json'
import { createPgPool } from 'middy-rds-iam/pg'
import { startDatabase } from 'rds-iam-kit'

const project = join(import.meta.dirname, '..')
const resourceId = 'db-ABCDEFGHIJKL01234'

describe('main.tf', async () => {
  const { module, resource } = await parse('main.tf', readFileSync(join(project, 'main.tf'), 'utf8'))
  const [database] = resource.aws_db_instance.orders
  const [{ environment }] = resource.aws_lambda_function.orders

  it('names the database by its resource id, and the user that the function connects as', () => {
    const [{ resource_id, user }] = module.connect
    assert.equal(resource_id, `\${aws_db_instance.orders.resource_id}`)
    assert.equal(user, environment[0].variables.PGUSER)
    assert.equal(database.iam_database_authentication_enabled, true)
  })

  it('gives the function the role that has this policy', () => {
    const [policy] = resource.aws_iam_role_policy.connect
    const [{ role }] = resource.aws_lambda_function.orders
    assert.equal(policy.policy, `\${module.connect.json}`)
    assert.equal(policy.role.replace('.id}', '.arn}'), role)
  })
})

const { error, stdout: version } = spawnSync('terraform', ['version'], { encoding: 'utf8' })
const skip = error !== undefined && `Terraform is not installed: ${error.message}`

describe(`the policy that ${version?.split('\n')[0] || 'Terraform'} makes`, { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'terraform-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const terraform = (args: readonly string[], cwd = folder) =>
    spawnSync('terraform', args, { cwd, encoding: 'utf8', env: { ...process.env, CHECKPOINT_DISABLE: '1' } })
  const apply = (id: string, user: string) => {
    const given = { resource_id: id, user, region: 'eu-west-1', account_id: '123456789012' }
    const vars = Object.entries(given).flatMap(([name, value]) => ['-var', `${name}=${value}`])
    return terraform(['apply', '-auto-approve', '-input=false', '-no-color', ...vars])
  }
  if (skip === false) {
    cpSync(join(project, 'policy'), folder, { recursive: true })
    const { status, stderr } = terraform(['init', '-input=false', '-no-color'])
    assert.equal(status, 0, stderr)
  }

  it('is written as Terraform formats it', () => {
    const { status, stdout } = terraform(['fmt', '-check', '-recursive'], project)
    assert.equal(status, 0, stdout)
  })

  it('admits the one user, and nobody else', async () => {
    const applied = apply(resourceId, 'orders_app')
    assert.equal(applied.status, 0, applied.stderr)
    const { stdout: json } = terraform(['output', '-raw', 'json'])
    const file = join(folder, 'policy.json')
    writeFileSync(file, json)
    const check = (user: string, id: string) => {
      const args = ['rds-iam', 'check', file, '--resource-id', id, '--user', user]
      return spawnSync('npx', args, { cwd: project, encoding: 'utf8' }).status
    }
    assert.deepEqual(
      [check('orders_app', resourceId), check('orders_admin', resourceId), check('orders_app', 'db-OTHER')],
      [0, 1, 1],
    )

    await using server = await startDatabase({
      engine: 'postgres',
      users: ['orders_app', 'orders_admin'],
      policy: { document: JSON.parse(json), resourceId },
    })
    Object.assign(process.env, server.environment)
    const connect = async (user: string) => {
      await using pool = createPgPool({ user, connectTimeoutMs: 2_000 })
      const { rows } = await pool.query('SELECT current_user AS user')
      return rows
    }
    assert.deepEqual(await connect('orders_app'), [{ user: 'orders_app' }])
    await assert.rejects(connect('orders_admin'), { code: 'RDS_IAM_ACCESS_DENIED' })
  })

  it('is none where the database is given by its name or its ARN, or the user by an asterisk', () => {
    const arn = 'arn:aws:rds:eu-west-1:123456789012:db:orders'
    for (const [id, user] of [
      ['orders', 'orders_app'],
      [arn, 'orders_app'],
      ['*', 'orders_app'],
      [resourceId, '*'],
      [resourceId, 'orders_*'],
    ] as const) {
      const { status, stderr } = apply(id, user)
      assert.equal(status, 1)
      assert.match(stderr, /Must be (a resource ID|the name of one database user)/)
    }
  })
})
