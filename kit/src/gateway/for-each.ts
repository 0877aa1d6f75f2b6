import { isRecord, listOf, mapTexts, wrong } from './template-parts.ts'

/**
 * Writes the loops of `AWS::LanguageExtensions` out:
 * `Fn::ForEach::Roles: [Name, [a, b], { '${Name}Role': … }]`.
 *
 * @param evaluate Evaluates the collection that a loop goes through.
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html
 */
export function expandLoops(
  value: unknown,
  at: string,
  evaluate: (value: unknown, at: string) => unknown,
): unknown {
  if (Array.isArray(value)) return value.map((item, index) => expandLoops(item, `${at}[${index}]`, evaluate))
  if (!isRecord(value)) return value
  const entries = Object.entries(value).flatMap(([key, item]) => {
    const place = at === '' ? key : `${at}.${key}`
    if (!key.startsWith('Fn::ForEach::')) return [[key, expandLoops(item, place, evaluate)] as const]
    const [identifier, collection, body] = listOf(item, 3, place)
    const items = evaluate(collection, `${place}[1]`)
    if (!Array.isArray(items) || !isRecord(body))
      throw wrong(place, 'takes a name, a list and an object for each item')
    return items.flatMap(item => {
      const turn = insert(body, String(identifier), String(item))
      return Object.entries(expandLoops(turn, `${place}[2]`, evaluate) as Record<string, unknown>)
    })
  })
  return Object.fromEntries(entries)
}

/**
 * Puts an item for `${Name}`, for `{ Ref: Name }`, and for `&{Name}`, which keeps nothing but letters and
 * digits.
 */
function insert(value: unknown, name: string, item: string): unknown {
  const change = (text: string) =>
    text
      .replaceAll(`\${${name}}`, () => item)
      .replaceAll(`&{${name}}`, () => item.replace(/[^A-Za-z0-9]/g, ''))
  if (Array.isArray(value)) return value.map(part => insert(part, name, item))
  if (!isRecord(value)) return mapTexts(value, change)
  if (value.Ref === name && Object.keys(value).length === 1) return item
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [change(key), insert(part, name, item)]),
  )
}
