import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseTemplate, readTemplatePolicy } from '../../kit/src/index.ts'
import { RdsIamError } from '../../src/index.ts'
import { assertProperty } from '../support/properties.ts'

const names = fc.constantFrom(
  ...[
    'Param',
    'Names',
    'Looked',
    'Db',
    'Db.DbiResourceId',
    'Cluster',
    'AWS::Region',
    'AWS::NoValue',
    'Role',
    'x',
  ],
  ...['__proto__', 'constructor', 'toString', ''],
)
const functions = fc.constantFrom(
  ...['Ref', 'Fn::GetAtt', 'Fn::Sub', 'Fn::If', 'Fn::Select', 'Fn::Split', 'Fn::Join', 'Fn::FindInMap'],
  ...['Fn::ImportValue', 'Fn::Transform', 'Fn::ForEach::X', 'Fn::Equals', 'Fn::Not', 'Condition'],
)
const texts = fc.oneof(
  names,
  fc.constantFrom(
    'rds-db:connect',
    '*',
    'Allow',
    '2012-10-17',
    'arn:aws:rds-db:*:*:dbuser:',
    '/app',
    ':',
    '0',
    '6',
  ),
  names.map(name => `arn:aws:rds-db:*:*:dbuser:\${${name}}/app`),
  fc.constantFrom('{{resolve:ssm:x}}', '${', `\${!x}`, '\0', '\x000\0'),
)

/** What stands in a template: texts, lists, functions with whatever argument, and the elements of policies. */
const { value } = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 5, depthIdentifier: 'template' },
    { weight: 4, arbitrary: texts },
    { weight: 1, arbitrary: fc.constantFrom(null, true, 0, -1, 1.5, {}, []) },
    { weight: 2, arbitrary: fc.array(tie('value'), { maxLength: 4, depthIdentifier: 'template' }) },
    {
      weight: 4,
      arbitrary: fc.tuple(functions, tie('value')).map(([name, argument]) => ({ [name]: argument })),
    },
    {
      weight: 3,
      arbitrary: fc.dictionary(
        fc.constantFrom(
          ...['Statement', 'Effect', 'Action', 'Resource', 'Version', 'PolicyDocument', 'Policies', 'Roles'],
          ...[
            'Type',
            'Properties',
            'Metadata',
            'Condition',
            'Export',
            'Name',
            'Value',
            'Default',
            '__proto__',
          ],
        ),
        tie('value'),
        { maxKeys: 4, depthIdentifier: 'template' },
      ),
    },
  ),
}))

const policy = fc.record({
  PolicyDocument: fc.record({ Version: fc.constant('2012-10-17'), Statement: value }),
})
const template = fc.record({
  Parameters: fc.constant({
    Param: { Type: 'String', Default: 'db-ABC' },
    Names: { Type: 'CommaDelimitedList', Default: 'a,b' },
    Looked: { Type: 'AWS::SSM::Parameter::Value<String>', Default: '/x' },
  }),
  Conditions: fc.dictionary(names, value, { maxKeys: 2 }),
  Mappings: fc.constant({ x: { x: { x: 'db-MAPPED' } } }),
  Outputs: fc.dictionary(names, value, { maxKeys: 2 }),
  Resources: fc
    .record({ Role: fc.record({ Policies: fc.oneof(value, policy, fc.array(policy)) }), Other: value })
    .map(({ Role, Other }) => ({
      Role: { Type: 'AWS::IAM::Role', Properties: Role },
      Db: { Type: 'AWS::RDS::DBInstance' },
      Cluster: { Type: 'AWS::RDS::DBCluster' },
      Other,
    })),
})

test('whatever a template is, it has a policy or an error that names the place', () => {
  let read = 0
  assertProperty(
    fc.property(template, template, fc.option(names, { nil: undefined }), (given, other, role) => {
      const parsed = parseTemplate(JSON.stringify(given))
      const stacks = [{ name: 'other', template: parseTemplate(JSON.stringify(other)) }]
      try {
        const { Statement } = readTemplatePolicy(parsed, { region: 'eu-west-1', stacks, role })
        assert.ok(Array.isArray(Statement))
        read += 1
      } catch (error) {
        assert.ok(error instanceof RdsIamError, String((error as Error).stack))
        assert.match(error.message, /^The template cannot be used: (other: )?(Resources|Conditions|Outputs)/)
      }
    }),
    { numRuns: 3_000 },
  )
  assert.ok(read > 20, `${read} could be read: too few to tell anything`)
})

test('no name of a database comes into an ARN of rds-db, whatever functions it goes through', () => {
  const wrap = fc.constantFrom<(value: unknown) => unknown>(
    value => ({ 'Fn::Join': ['', [value]] }),
    value => ({ 'Fn::Select': [0, [value, 'x']] }),
    value => ({ 'Fn::Select': [0, { 'Fn::Split': ['|', value] }] }),
    value => ({ 'Fn::Sub': [`\${Own}`, { Own: value }] }),
    value => ({ 'Fn::If': ['Yes', value, 'x'] }),
    value => ({ 'Fn::FindInMap': ['No', 'No', 'No', { DefaultValue: value }] }),
  )
  const reference = fc.constantFrom<unknown>(
    { Ref: 'Cluster' },
    { 'Fn::GetAtt': ['Db', 'DBInstanceIdentifier'] },
    { 'Fn::GetAtt': 'Cluster.DBClusterArn' },
    { 'Fn::Sub': `\${Db}` },
  )
  const parameters = {
    ...{ Cluster: 'cluster-ABC', Db: 'db-ABC', 'Db.DBInstanceIdentifier': 'db-ABC' },
    'Cluster.DBClusterArn': 'cluster-ABC',
  }
  assertProperty(
    fc.property(reference, fc.array(wrap, { maxLength: 6 }), (reference, wraps) => {
      const id = wraps.reduce<unknown>((value, wrap) => wrap(value), reference)
      const Resource = { 'Fn::Sub': [`arn:aws:rds-db:*:*:dbuser:\${Id}/app`, { Id: id }] }
      const Statement = { Effect: 'Allow', Action: 'rds-db:connect', Resource }
      const template = {
        Conditions: { Yes: { 'Fn::Equals': ['a', 'a'] } },
        Resources: {
          Role: { Type: 'AWS::IAM::Role', Properties: { Policies: [{ PolicyDocument: { Statement } }] } },
          Db: { Type: 'AWS::RDS::DBInstance' },
          Cluster: { Type: 'AWS::RDS::DBCluster' },
        },
      }
      assert.throws(
        () => readTemplatePolicy(template, { region: 'eu-west-1', parameters }),
        /is not the resource id that an ARN of rds-db names: write !GetAtt/,
      )
    }),
  )
})
