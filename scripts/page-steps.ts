// What a reader does who follows a page to the letter.

/** One thing that a page has its reader do. */
export type PageStep =
  /** A block that begins with the name of a file, `// handler.ts` or `-- orders.sql`. */
  | { readonly kind: 'file'; readonly name: string; readonly text: string }
  /** Behind `<!-- run -->`: it ends, and prints the lines that stand behind it as `# …`, where there are any. */
  | { readonly kind: 'run'; readonly command: string; readonly prints: string | undefined }
  /** Behind `<!-- start -->`: it goes on in a shell of its own, and prints a line once it is ready. */
  | { readonly kind: 'start'; readonly command: string }

/**
 * Marks of figures, `<!-- figures: postgres -->`, are no step.
 *
 * @throws Where another mark stands before something else than a block of `sh`.
 */
export function readSteps(page: string): readonly PageStep[] {
  const blocks = page.matchAll(/^(?:<!-- (?!\/?figures)(.+?) -->\n+)?(?:```(\w+)\n(.*?)^```$)?/gms)
  return [...blocks].flatMap(([, mark, language, code = '']): readonly PageStep[] => {
    if (mark === undefined) {
      const name = /^(?:\/\/|--) ([\w.-]+\.\w+)\n/.exec(code)?.[1]
      return name === undefined ? [] : [{ kind: 'file', name, text: code }]
    }
    if (language !== 'sh') throw new Error(`<!-- ${mark} --> stands before no block of sh`)
    const [, command = '', printed = ''] = /^(.*?\n)((?:# .*\n)*)$/s.exec(code) ?? []
    const prints = printed === '' ? undefined : printed.replaceAll(/^# /gm, '').trim()
    if (mark === 'start') return [{ kind: 'start', command }]
    if (mark === 'run') return [{ kind: 'run', command, prints }]
    throw new Error(`<!-- ${mark} --> is neither run nor start`)
  })
}
