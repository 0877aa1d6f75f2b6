// A plugin of Stryker, loaded by its process.

/** As much of a node of Babel's tree as is read here. */
interface Node {
  readonly type: string
  readonly value?: unknown
  readonly quasis?: readonly { readonly value: { readonly raw: string } }[]
  readonly expressions?: readonly Node[]
  readonly object?: Node
}

/**
 * Sentences for people are not emptied: what tests say of them are the words that matter, by patterns. A text
 * is a sentence where it has a word, a blank and another word, or begins or ends with a blank: codes, names,
 * parameters and keys have none, and are changed. So is whatever decides what a sentence says.
 */
function isProse(node: Node): boolean {
  if (node.type === 'StringLiteral') return hasBlank(String(node.value))
  if (node.type !== 'TemplateLiteral') return false
  const isPlain = (part: Node): boolean =>
    part.type === 'Identifier' ||
    (part.type === 'MemberExpression' && part.object !== undefined && isPlain(part.object))
  return (
    (node.quasis ?? []).some(({ value }) => hasBlank(value.raw)) && (node.expressions ?? []).every(isPlain)
  )
}

function hasBlank(text: string): boolean {
  return /\w+,? \w|\S \$|^ \S|\S $/.test(text)
}

export const strykerPlugins = [
  {
    kind: 'Ignore',
    name: 'prose',
    value: {
      shouldIgnore: ({ node }: { readonly node: Node }) =>
        isProse(node) ? 'a sentence for people' : undefined,
    },
  },
]
