import { type CollectionTag, parseDocument, type ScalarTag, YAMLMap } from 'yaml'
import type { CloudFormationTemplate } from './template-parts.ts'

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
const functions =
  'And Base64 Cidr Equals FindInMap ForEach GetAtt GetAZs GetStackOutput If ImportValue Join Length Not Or Select Split Sub ToJsonString Transform'

/**
 * Parses the text of a template in YAML, and so in JSON: `!Ref X` becomes `{ Ref: 'X' }`, `!GetAtt X.Arn`
 * `{ 'Fn::GetAtt': ['X', 'Arn'] }` and so on.
 *
 * @example
 * ```ts
 * parseTemplate('Resources: { Role: !GetAtt Orders.Arn }').Resources
 * // { Role: { 'Fn::GetAtt': ['Orders', 'Arn'] } }
 * ```
 * @throws where the text is not YAML, or has a tag that is not CloudFormation's, with the line.
 */
export function parseTemplate(text: string): CloudFormationTemplate {
  const customTags = ['Ref', 'Condition', ...functions.split(' ').map(name => `Fn::${name}`)].flatMap(key => {
    const tag = `!${key.replace('Fn::', '')}`
    const inMap = (value: unknown) => {
      const map = new YAMLMap()
      map.set(key, value)
      return map
    }
    const ofText: ScalarTag = {
      tag,
      resolve: text => ({ [key]: key === 'Fn::GetAtt' ? text.split(/\.(.*)/, 2) : text }),
    }
    const ofList: CollectionTag = { tag, collection: 'seq', resolve: inMap }
    const ofMap: CollectionTag = { tag, collection: 'map', resolve: inMap }
    return [ofText, ofList, ofMap]
  })
  const document = parseDocument(text, { customTags })
  // An unknown tag is no more than a warning: its value would be taken as if it had none.
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) throw problem
  const template = document.toJS() as CloudFormationTemplate
  // Throws where an alias stands within its own anchor, which nobody could read to the end.
  JSON.stringify(template)
  return template
}
