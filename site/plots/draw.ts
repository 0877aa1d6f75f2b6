import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'

/** A drawing as data; its `title`, size and marks are its own, the colours are those of every picture here. */
export type Drawing = Omit<TopLevelSpec, 'config' | 'background' | '$schema'>

/** Reads on white (4.5 : 1) and on the near black of dark pages (4.1 : 1), as the series below do. */
const ink = '#767676'
/** Of Okabe and Ito's palette, which colour-blind people tell apart, as dark or light as both grounds bear. */
const series = ['#0a84c6', '#d55e00', '#009e73', '#b5659a']

/** @returns An SVG with a transparent ground, whose fonts are those of the reader. */
export async function draw(drawing: Drawing): Promise<string> {
  const { spec } = compile({
    ...drawing,
    background: 'transparent',
    config: {
      font: 'system-ui, sans-serif',
      axis: {
        labelColor: ink,
        titleColor: ink,
        tickColor: ink,
        domainColor: ink,
        gridColor: ink,
        gridOpacity: 0.3,
      },
      header: { labelColor: ink },
      legend: { labelColor: ink, titleColor: ink, orient: 'bottom', labelLimit: 0 },
      title: { color: ink, subtitleColor: ink, anchor: 'start', offset: 12 },
      text: { color: ink },
      view: { stroke: null },
      range: { category: series },
    },
  } as TopLevelSpec)
  const view = new View(parse(spec), { renderer: 'none' })
  const svg = await view.toSVG()
  view.finalize()
  return `${svg}\n`
}
