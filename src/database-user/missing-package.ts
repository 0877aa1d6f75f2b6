import { TaskFailure } from './user-task.ts'

/**
 * For the `catch` of an import: adds to the words of Node.js what to do where the package is not installed.
 *
 * Each import names its package where it stands, and has this `catch`: so bundlers follow it, and leave a
 * package alone that is not there.
 */
export function refuseMissing(remedy: string): (error: unknown) => never {
  return error => {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error
    throw new TaskFailure(`${message}. ${remedy}`)
  }
}
