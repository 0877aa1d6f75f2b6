import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { NotInstalled } from './not-installed.ts'

/**
 * Finds what the kit does without unless it is installed: beside the kit, in the project that the process
 * stands in, or beside another package. Installers that give each package a `node_modules` of its own put it
 * in only one of them.
 *
 * @param specifier For example `'mysql2/promise'`.
 * @param beside Files of other packages.
 * @returns The file that it leads to, or nothing.
 */
export function findPackage(specifier: string, beside: readonly string[] = []): string | undefined {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json'), ...beside]) {
    try {
      return createRequire(from).resolve(specifier)
    } catch {
      // It may be in the next one.
    }
  }
  return undefined
}

/**
 * Loads a driver.
 *
 * @param beside As for `findPackage`.
 * @throws {NotInstalled} Where it is not installed.
 */
export async function loadDriver<T>(specifier: string, beside: readonly string[] = []): Promise<T> {
  const file = findPackage(specifier, beside)
  const [name] = specifier.split('/')
  if (file === undefined) throw new NotInstalled(`the driver ${name} is not installed: npm install ${name}`)
  return (await import(pathToFileURL(file).href)).default
}
