// For `--import`: lets a Node.js that runs no TypeScript, one before 22.18, run the tests of this repository.
// It is JavaScript for that reason.
import { register } from 'node:module'

if (!process.features.typescript) register('./strip-types-hooks.js', import.meta.url)
