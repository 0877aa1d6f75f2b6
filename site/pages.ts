import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'

/** The repository: pages are read from where they are. */
export const root = join(import.meta.dirname, '..')

/** The files that become pages, from the repository's root: `docs/errors.md`, for example. */
export const pages: readonly string[] = globSync('{*.md,kit/README.md,docs/**/*.md}', { cwd: root }).sort()

/** Where a page stands on the site: a README is the start of its folder. */
export function placeOf(page: string): string {
  return page.replace(/README\.md$/, 'index.md')
}

/**
 * Where a link of a page leads to on the site.
 *
 * @returns For example `/docs/errors.md#rds_iam_trust`, or `/kit/`; `undefined` for a file of the repository
 * that is no page. What leads to another site, or to nothing, stays as it is: the build fails at a dead link.
 */
export function findTarget(page: string, link: string): string | undefined {
  if (/^([a-z]+:|#)/.test(link)) return link
  const [path = '', anchor] = link.split('#')
  const file = posix.join(posix.dirname(page), path)
  if (pages.includes(file))
    return `/${placeOf(file).replace(/index\.md$/, '')}${anchor === undefined ? '' : `#${anchor}`}`
  return existsSync(join(root, file)) ? undefined : link
}

interface SidebarGroup {
  readonly text: string
  readonly items: { readonly text: string; readonly link: string }[]
}

/** The groups of an index and their links, in its order: a bold line begins a group. */
export function readSidebar(index = 'docs/README.md'): SidebarGroup[] {
  const groups: SidebarGroup[] = []
  for (const line of readFileSync(join(root, index), 'utf8').split('\n')) {
    const title = /^\*\*(.+)\*\*$/.exec(line)?.[1]
    if (title !== undefined) groups.push({ text: title, items: [] })
    for (const [, text = '', link = ''] of line.matchAll(/\[([^\]]+)\]\(([^)\s]+)\)/g)) {
      const target = findTarget(index, link)
      if (target !== undefined) groups.at(-1)?.items.push({ text: text.replaceAll('`', ''), link: target })
    }
  }
  return groups
}
