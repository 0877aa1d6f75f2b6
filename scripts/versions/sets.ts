import { compareVersions, node, oldestOf, peers, readMinors } from './registry.ts'

/** Versions that are tested together. */
export interface VersionSet {
  /** Also the name of its folder: `oldest`. */
  readonly name: string
  /** For example `{ node: '22.3.0', pg: '8.21.0', … }`. */
  readonly versions: Readonly<Record<string, string>>
}

/** The peers whose versions matter to the core. Clients of AWS are the custom resource's alone. */
const drivers = ['pg', 'mysql2', '@middy/core']

/** The oldest of everything together, as `package.json` says it. No registry is asked. */
export const oldestSet = (): VersionSet => ({
  name: 'oldest',
  versions: {
    node: node.oldest,
    ...Object.fromEntries(drivers.map(name => [name, oldestOf(peers[name] ?? '')])),
  },
})

/** The newest of everything together. */
export const newestSet = (): VersionSet => ({
  name: 'newest',
  versions: Object.fromEntries(
    Object.entries(minorsOf()).map(([name, minors]) => [name, minors.at(-1) ?? '']),
  ),
})

/** The minors between, as many sets as the package with the most of them has; with the newest Node.js 22. */
export function setsBetween(): readonly VersionSet[] {
  const minors = minorsOf()
  const count = Math.max(...drivers.map(name => minors[name]?.length ?? 0)) - 2
  return Array.from({ length: Math.max(count, 0) }, (_, index) => ({
    name: `between-${index + 1}`,
    versions: {
      node: newestNode(node.majors[0]),
      ...Object.fromEntries(
        drivers.map(name => [name, minors[name]?.at(index + 1) ?? minors[name]?.at(-1) ?? '']),
      ),
    },
  }))
}

function minorsOf(): Readonly<Record<string, readonly string[]>> {
  const wanted = drivers.map(name => {
    const oldest = oldestOf(peers[name] ?? '')
    return [name, readMinors(name, { oldest, majors: [Number.parseInt(oldest, 10)] })]
  })
  return { node: [newestNode(node.majors[1])], ...Object.fromEntries(wanted) }
}

const newestNode = (major: number) =>
  readMinors('node', { oldest: `${major}.0.0`, majors: [major] }).at(-1) ?? ''

/**
 * Versions of TypeScript that a user's project may have: the oldest, the first that needs no `skipLibCheck`,
 * and the newest of each major.
 *
 * @param every Each minor instead.
 */
export function typescriptVersions(every: boolean): readonly string[] {
  const minors = readMinors('typescript', { oldest: '5.0.2', majors: [5, 6, 7] }).slice(1)
  if (every) return minors
  const isLastOfMajor = (version: string, next?: string) => version.split('.')[0] !== next?.split('.')[0]
  return minors.filter(
    (version, index) =>
      index === 0 ||
      version.startsWith(`${firstWithDisposables}.`) ||
      isLastOfMajor(version, minors[index + 1]),
  )
}

/** The first TypeScript that knows `AsyncDisposable`. Before it, a project needs `skipLibCheck`. */
export const firstWithDisposables = '5.2'

export const knowsDisposables = (typescript: string): boolean =>
  compareVersions(typescript, `${firstWithDisposables}.0`) >= 0
