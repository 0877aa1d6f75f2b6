import { urlSuffixOf } from '../identifiers/region.ts'

/**
 * Says what is wrong with the address that an answer is to go to, as a clause; `undefined` if it is right.
 *
 * CloudFormation gives a pre-signed address of its own bucket in the Region of the stack, which is that of
 * the function too. An answer to any other address would tell a stranger what the database says.
 *
 * @example `answerAddressProblem('https://example.com/', 'eu-west-1')` is `'leads to example.com, and not to …'`
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/vpc-interface-endpoints.html
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
 */
export function answerAddressProblem(address: string, region: string): string | undefined {
  const url = URL.parse(address)
  if (url === null) return 'is no URL'
  if (url.protocol !== 'https:') return 'is no https address'
  if (url.username !== '' || url.password !== '') return 'has a user in it'
  if (url.port !== '') return 'has a port in it'
  // The name of the bucket has the Region without its hyphens. S3 has more than one name for it: that of all
  // Regions, and two with the Region.
  const bucket = `cloudformation-custom-resource-response-${region.replaceAll('-', '')}`
  const suffix = urlSuffixOf(region)
  const hosts = ['s3', `s3.${region}`, `s3-${region}`, `s3.dualstack.${region}`].map(
    service => `${bucket}.${service}.${suffix}`,
  )
  if (!hosts.includes(url.hostname)) return `leads to ${url.hostname}, and not to the bucket ${bucket}`
  return url.searchParams.has('X-Amz-Signature') || url.searchParams.has('Signature')
    ? undefined
    : 'is not signed'
}
