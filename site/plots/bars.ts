import { formatFigure } from '../../bench/page-tables.ts'
import type { Drawing } from './draw.ts'

/** A bar, of one part or of several that are stacked. */
export interface Bar {
  readonly name: string
  readonly parts: readonly { readonly name: string; readonly value: number }[]
  /** The figure at its end: the median of the whole is not the sum of the parts' medians. */
  readonly total: number
}

/** Bars of one scale. */
export interface Panel {
  /** What the scale measures, with its unit: `pg: cold start, ms`, for example. */
  readonly title: string
  readonly bars: readonly Bar[]
}

const barHeight = 24

/** Panels of bars, one below the other, each with a scale of its own from zero. */
export function drawBars(title: string, source: readonly string[], panels: readonly Panel[]): Drawing {
  const parts = [
    ...new Set(panels.flatMap(({ bars }) => bars.flatMap(bar => bar.parts.map(({ name }) => name)))),
  ]
  return {
    title: { text: title, subtitle: [...source] },
    vconcat: panels.map(({ title, bars }) => drawPanel(title, bars, parts)),
    resolve: { scale: { color: 'shared' } },
  } as Drawing
}

function drawPanel(title: string, bars: readonly Bar[], parts: readonly string[]): object {
  const y = {
    field: 'bar',
    type: 'nominal',
    sort: null,
    title: null,
    axis: { domain: false, ticks: false, labelLimit: 0 },
  }
  const legend = parts.length > 1 ? { title: null } : null
  return {
    width: 480,
    height: bars.length * barHeight,
    layer: [
      {
        data: {
          values: bars.flatMap(bar =>
            bar.parts.map(({ name, value }) => ({
              bar: bar.name,
              part: name,
              value,
              order: parts.indexOf(name),
            })),
          ),
        },
        mark: { type: 'bar', height: { band: 0.7 } },
        encoding: {
          y,
          x: { field: 'value', type: 'quantitative', stack: 'zero', title },
          color: { field: 'part', type: 'nominal', scale: { domain: parts }, legend },
          order: { field: 'order', type: 'quantitative' },
        },
      },
      {
        data: {
          values: bars.map(({ name, parts, total }) => ({
            bar: name,
            end: parts.reduce((sum, { value }) => sum + value, 0),
            text: formatFigure(total),
          })),
        },
        mark: { type: 'text', align: 'left', dx: 4 },
        encoding: {
          y,
          x: { field: 'end', type: 'quantitative' },
          text: { field: 'text', type: 'nominal' },
        },
      },
    ],
  }
}
