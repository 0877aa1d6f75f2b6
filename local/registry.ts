import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename } from 'node:path'

/** A package as `npm pack` made it. */
export interface PackedPackage {
  /** What is published as `package.json`. */
  readonly manifest: { readonly name: string; readonly version: string }
  /** The path of the file. */
  readonly tarball: string
}

/**
 * Stands in for npm's registry, for packages that are not published yet: `npm install NAME` gets them as it
 * would. For all others it leads on to the real one.
 *
 * @param upstream The address of the real registry, as npm has it in its settings.
 * @see https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md
 */
export async function startRegistry(
  packages: readonly PackedPackage[],
  upstream: string,
): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').slice(1)
    const named = packages.find(({ manifest }) => manifest.name === decodeURIComponent(path))
    const packed = packages.find(({ tarball }) => basename(tarball) === path)
    if (packed !== undefined) response.end(readFileSync(packed.tarball))
    else if (named !== undefined) response.end(JSON.stringify(describe(named, url)))
    else response.writeHead(307, { location: `${upstream.replace(/\/$/, '')}/${path}` }).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return {
    url,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function describe({ manifest, tarball }: PackedPackage, url: string): object {
  const { name, version } = manifest
  return {
    name,
    'dist-tags': { latest: version },
    versions: { [version]: { ...manifest, dist: { tarball: `${url}${basename(tarball)}` } } },
  }
}
