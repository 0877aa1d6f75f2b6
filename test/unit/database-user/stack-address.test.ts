import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerAddressProblem } from '../../../src/database-user/stack-address.ts'

const signed = '/arn%3Aaws%3Acloudformation?X-Amz-Signature=0'

// Both ways to write a Region, and none, are in requests that people have published; the last three follow S3's names.
for (const [region, host] of [
  ['us-east-1', 'cloudformation-custom-resource-response-useast1.s3.amazonaws.com'],
  ['us-east-1', 'cloudformation-custom-resource-response-useast1.s3.us-east-1.amazonaws.com'],
  ['eu-west-1', 'cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com'],
  ['ap-southeast-2', 'cloudformation-custom-resource-response-apsoutheast2.s3-ap-southeast-2.amazonaws.com'],
  ['us-west-2', 'cloudformation-custom-resource-response-uswest2.s3-us-west-2.amazonaws.com'],
  ['cn-north-1', 'cloudformation-custom-resource-response-cnnorth1.s3.cn-north-1.amazonaws.com.cn'],
  ['us-gov-west-1', 'cloudformation-custom-resource-response-usgovwest1.s3.us-gov-west-1.amazonaws.com'],
  ['eusc-de-east-1', 'cloudformation-custom-resource-response-euscdeeast1.s3.eusc-de-east-1.amazonaws.eu'],
  ['us-iso-east-1', 'cloudformation-custom-resource-response-usisoeast1.s3.us-iso-east-1.c2s.ic.gov'],
] as const) {
  test(`takes CloudFormation's bucket in ${region} as ${host}`, () => {
    assert.equal(answerAddressProblem(`https://${host}${signed}`, region), undefined)
    assert.equal(answerAddressProblem(`https://${host}:443${signed}`, region), undefined)
    assert.equal(answerAddressProblem(`https://${host.toUpperCase()}${signed}`, region), undefined)
    assert.match(answerAddressProblem(`https://${host}.${signed}`, region) ?? '', /^leads to /)
    assert.match(answerAddressProblem(`https://${host}.example.com${signed}`, region) ?? '', /^leads to /)
    assert.match(answerAddressProblem(`https://${host}${signed}`, 'sa-east-1') ?? '', /^leads to /)
    assert.match(answerAddressProblem(`http://${host}${signed}`, region) ?? '', /no https/)
    assert.match(answerAddressProblem(`https://a@${host}${signed}`, region) ?? '', /a user/)
    assert.match(answerAddressProblem(`https://${host}:444${signed}`, region) ?? '', /a port/)
    assert.match(answerAddressProblem(`https://${host}/`, region) ?? '', /not signed/)
  })
}

test('takes neither China for the world nor the world for China', () => {
  const bucket = 'cloudformation-custom-resource-response-cnnorth1'
  assert.match(
    answerAddressProblem(`https://${bucket}.s3.amazonaws.com${signed}`, 'cn-north-1') ?? '',
    /^leads/,
  )
  const other = 'cloudformation-custom-resource-response-euwest1'
  assert.match(
    answerAddressProblem(`https://${other}.s3.amazonaws.com.cn${signed}`, 'eu-west-1') ?? '',
    /^leads/,
  )
})

for (const text of ['', 'x', 'nowhere X-Amz-Signature=0', 'javascript:x', 'https://']) {
  test(`takes ${JSON.stringify(text)} for no address, and does not repeat it`, () => {
    const problem = answerAddressProblem(text, 'eu-west-1') ?? assert.fail()
    assert.doesNotMatch(problem, /Signature/)
  })
}
