import { globSync } from 'node:fs'
import { slug } from 'github-slugger'
import { defineConfig, type MarkdownOptions } from 'vitepress'
import { findTarget, pages, placeOf, readSidebar, root } from '../pages.ts'

type MarkdownIt = Parameters<NonNullable<MarkdownOptions['config']>>[0]

/** Gives links their places on the site, and takes those away that lead to files that are no pages. */
function placeLinks(md: MarkdownIt): void {
  md.core.ruler.push('place_links', ({ tokens, env }) => {
    for (const { children } of tokens) {
      let isTaken = false
      for (const token of children ?? []) {
        if (token.type === 'link_open') {
          const target = findTarget(pageOf(env.relativePath), token.attrGet('href') ?? '')
          isTaken = target === undefined
          if (target !== undefined) token.attrSet('href', target)
        }
        // A token without type and content is rendered as nothing.
        if (isTaken && /^link_(open|close)$/.test(token.type)) {
          isTaken = token.type === 'link_open'
          Object.assign(token, { type: 'text', tag: '', nesting: 0, content: '' })
        }
      }
    }
  })
}

/** VitePress tells the place of a page, from which links to the repository are not relative. */
function pageOf(place: string): string {
  return pages.find(page => page === place || placeOf(page) === place) ?? place
}

/** What stands in code, `{{resolve:…}}` for example, is no expression of Vue. */
function keepInlineCode(md: MarkdownIt): void {
  md.core.ruler.push('keep_inline_code', ({ tokens }) => {
    for (const token of tokens.flatMap(({ children }) => children ?? []))
      if (token.type === 'code_inline') token.attrSet('v-pre', '')
  })
}

/** Diagrams are drawn in the browser, by the site's own code. */
function drawMermaid(md: MarkdownIt): void {
  const { fence } = md.renderer.rules
  md.renderer.rules.fence = (tokens, index, options, env, self) => {
    const { info = '', content = '' } = tokens[index] ?? {}
    if (info.trim() === 'mermaid') return `<MermaidDiagram code="${encodeURIComponent(content)}" />`
    return fence?.(tokens, index, options, env, self) ?? ''
  }
}

/** The pages stand outside of the folder whose node_modules has Vue. */
const findVue = {
  name: 'find-vue',
  enforce: 'pre' as const,
  resolveId(id: string, _importer: string | undefined, { ssr }: { ssr?: boolean }) {
    return ssr && /^vue(\/server-renderer)?$/.test(id) ? { id, external: true } : undefined
  },
}

export default defineConfig({
  title: 'middy-rds-iam',
  description: 'Passwordless, verified connections from AWS Lambda to Amazon RDS and Aurora',
  lang: 'en-GB',
  srcDir: root,
  srcExclude: globSync('**/*.md', { cwd: root, exclude: ['**/node_modules'] }).filter(
    file => !pages.includes(file),
  ),
  outDir: 'dist',
  rewrites: placeOf,
  markdown: {
    // The same headings have the same anchors on GitHub, here, and in an error's `docs`.
    anchor: { slugify: text => slug(text) },
    config(md) {
      placeLinks(md)
      keepInlineCode(md)
      drawMermaid(md)
    },
  },
  // Mermaid, which only pages with a diagram load, has more than the 500 kB that Vite warns of.
  vite: { plugins: [findVue], build: { chunkSizeWarningLimit: 2_000 } },
  themeConfig: {
    nav: [
      { text: 'Documentation', link: '/docs/' },
      { text: 'Kit', link: '/kit/' },
    ],
    sidebar: [
      {
        items: [
          { text: 'middy-rds-iam', link: '/' },
          { text: 'rds-iam-kit', link: '/kit/' },
        ],
      },
      ...readSidebar(),
    ],
    outline: [2, 3],
    search: { provider: 'local' },
  },
})
