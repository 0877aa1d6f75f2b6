// npm run plots: draws docs/pictures/*.svg of what bench/results/*.json has.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readResults } from '../../bench/results.ts'
import { root } from '../pages.ts'
import { draw } from './draw.ts'
import { pictures } from './pictures.ts'

const results = readResults()
for (const [name, picture] of Object.entries(pictures)) {
  const drawing = picture(results)
  if (!drawing) continue
  const file = `docs/pictures/${name}.svg`
  mkdirSync(join(root, 'docs', 'pictures'), { recursive: true })
  writeFileSync(join(root, file), await draw(drawing))
  console.log(file)
}
