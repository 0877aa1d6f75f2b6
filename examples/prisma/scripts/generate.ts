// Generates the client into `generated/`.
import { execFileSync } from 'node:child_process'

// Prisma would download its engine for migrations, which generating does not start: any file that exists does.
const env = { PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, ...process.env }
execFileSync('npm', ['exec', '--no', '--', 'prisma', 'generate'], { env, stdio: 'inherit' })
