import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { describeMissing, readResults } from '../../bench/results.ts'
import { engineReport, stormReport } from '../../test/support/report.ts'
import { root } from '../pages.ts'
import { draw } from '../plots/draw.ts'
import { pictures } from '../plots/pictures.ts'

const all = { postgres: engineReport, mysql: engineReport, storm: stormReport }

/** What a picture has to say besides machine and date: its unit, and something that was measured. */
const says: Readonly<Record<string, readonly string[]>> = {
  'cold-start': [
    'pg: cold start, ms',
    'mysql2: cold start, ms',
    'until the first invocation',
    '101.3',
    'floor',
  ],
  warm: ['pg: warm invocation, ms', '1.25'],
  memory: ['mysql2: memory, MB', '72'],
  'lost-flow': ['pg: the invocation, ms', 'pool, after its flow was silently dropped', '33'],
  storm: ['until all are connected, s', 'environments', 'server says that it throttles', 'without jitter'],
  outage: ['longest invocation, last half of the outage, s', '9.96', '1 976'],
}

for (const [name, picture] of Object.entries(pictures)) {
  test(`${name}.svg says what was measured, in which unit, where and when`, async () => {
    const svg = await draw(picture(all) ?? assert.fail('there is no drawing'))
    assert.match(svg, /^<svg .*<\/svg>\n$/s)
    for (const text of [...(says[name] ?? assert.fail('of this nothing is known')), 'a machine; 2000-01-01'])
      assert.ok(svg.includes(`>${text}<`), text)
    assert.doesNotMatch(svg, /NaN|undefined/)
  })

  test(`${name}.svg reads on a light and on a dark page`, async () => {
    const svg = await draw(picture(all) ?? assert.fail('there is no drawing'))
    const colours = new Set(svg.match(/(?<=(?:fill|stroke)=")#\w+/g))
    assert.ok(colours.size > 1)
    for (const colour of colours) {
      // Of the Web Content Accessibility Guidelines, 1.4.11: 3 : 1 for what is drawn.
      for (const ground of ['#ffffff', '#0d1117'])
        assert.ok(contrastOf(colour, ground) >= 3, `${colour} on ${ground}: ${contrastOf(colour, ground)}`)
    }
  })

  test(`docs/pictures/${name}.svg is what the results draw`, async t => {
    const results = readResults()
    const drawing = picture(results)
    const file = join(root, 'docs', 'pictures', `${name}.svg`)
    if (!drawing) {
      assert.ok(!existsSync(file), 'there is a picture of nothing')
      return t.skip(describeMissing(results).join('; '))
    }
    assert.equal(readFileSync(file, 'utf8'), await draw(drawing), 'npm run plots draws it')
  })
}

/** @see https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio */
function contrastOf(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminanceOf(one), luminanceOf(other)].toSorted((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

/** @see https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
function luminanceOf(colour: string): number {
  const channels = [1, 3, 5].map(start => Number.parseInt(colour.slice(start, start + 2), 16) / 255)
  const [red = 0, green = 0, blue = 0] = channels.map(part =>
    part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
  )
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
