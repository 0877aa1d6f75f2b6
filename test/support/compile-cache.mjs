// Loaded first in the processes of the tests, and in those of the commands that they start: compiled modules are kept in
// .local, so that each file is compiled once and not by every process. A command is there in a third of the time then.
import module from 'node:module'
import { join } from 'node:path'

// Node.js 22.8 or newer has it.
module.enableCompileCache?.(join(import.meta.dirname, '..', '..', '.local', 'compile-cache'))
