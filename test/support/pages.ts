import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

/** A text that people read, in Markdown. */
export interface Page {
  /** From the root of the repository, for example `docs/errors.md`. */
  readonly path: string
  readonly text: string
}

/** @param path For example `docs/errors.md`. */
export function readPage(path: string): Page {
  return { path, text: readFileSync(join(root, path), 'utf8') }
}

const find = (pattern: string): readonly Page[] => globSync(pattern, { cwd: root }).sort().map(readPage)

/** What users read: both packages' READMEs, and the pages of `docs/`. */
export const pages: readonly Page[] = find('{README,kit/README,docs/*}.md')

/** What `npm run reference` makes, and checks, of the comments. */
export const reference: readonly Page[] = find('docs/reference/**/*.md')

/** What contributors and the readers of an example have beside these. */
export const otherTexts: readonly Page[] = find('{*,src/*,src/sample/*,examples/*/*,.github/*}.md').filter(
  ({ path }) => path !== 'README.md',
)

/** A piece of code on a page. */
export interface Snippet {
  readonly page: string
  /** For example `ts`. */
  readonly language: string
  readonly code: string
}

/** Finds the blocks of code of a page, those in lists with their indentation taken away. */
export function snippetsOf({ path, text }: Page, language: string): readonly Snippet[] {
  const blocks = text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n(.*?)^\\1\`\`\`$`, 'gms'))
  return [...blocks].map(([, indent = '', code = '']) => ({
    ...{ page: path, language },
    code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
}

/**
 * The anchors of a page: those of its headings, as GitHub makes them, and those that it has itself.
 *
 * @see https://docs.github.com/en/get-started/writing-on-github/getting-started-with-writing-and-formatting-on-github/basic-writing-and-formatting-syntax#section-links
 */
export function anchorsOf({ text }: Page): ReadonlySet<string> {
  const anchors = new Set([...text.matchAll(/<a id="([^"]+)"><\/a>/g)].map(([, id = '']) => id))
  for (const [, heading = ''] of withoutCode(text).matchAll(/^#{1,6} (.*)$/gm)) {
    const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = words.replaceAll(/[^\p{Letter}\p{Number}\s_-]/gu, '').replaceAll(' ', '-')
    let unique = anchor
    for (let count = 1; anchors.has(unique); count += 1) unique = `${anchor}-${count}`
    anchors.add(unique)
  }
  return anchors
}

/** The targets of a page's links, for example `errors.md#rds_iam_trust`. */
export function linksOf({ text }: Page): readonly string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
}

/** A text without its blocks of code, in which a `#` begins no heading. */
export function withoutCode(text: string): string {
  return text.replaceAll(/^( *)```.*?^\1```$/gms, '')
}
