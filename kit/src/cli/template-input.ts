import { basename } from 'node:path'
import { resourceIdProblem } from 'middy-rds-iam/identifiers'
import { type CloudFormationTemplate, readTemplatePolicy, type TemplateStack } from '../gateway/template.ts'
import { parseTemplate } from '../gateway/template-file.ts'
import { isRecord } from '../gateway/template-parts.ts'
import { callWithFlags, readInput, UsageError } from './arguments.ts'
import { refuseNoTemplate } from './policy-file.ts'
import type { TemplateFlags } from './template-flags.ts'

/** Where the stack is. */
interface Place {
  readonly region: string
  readonly accountId: string | undefined
  readonly partition: string | undefined
}

/** Reads the template of `--template`, and takes the policy of a role out of it. */
export async function readTemplateFlags(flags: TemplateFlags, place: Place) {
  const { template: file = '', role } = flags
  const imports = readPairs('--import', flags.import ?? [], /^[^=]+$/)
  const given = Object.entries(readPairs('--parameter', flags.parameter ?? [], /^[A-Za-z0-9_.:/-]+$/))
  const read = (name: string, path: string) => {
    const template = readInput(`${name} ${path}`, path, text => {
      const parsed: unknown = parseTemplate(text)
      // What `aws cloudformation get-template` prints.
      const { TemplateBody: body } = isRecord(parsed) ? parsed : {}
      return typeof body === 'string' ? parseTemplate(body) : ((body ?? parsed) as CloudFormationTemplate)
    })
    refuseNoTemplate(`${name} ${path}`, template)
    return template
  }
  const template = read('--template', file)
  const ofStack = (wanted: string | undefined) =>
    Object.fromEntries(
      given.flatMap(([name, value]) => {
        const [stack, own] = splitName(name)
        return stack === wanted ? [[own, value]] : []
      }),
    )
  const stacks = (flags.stack ?? []).map((text): TemplateStack => {
    const { name, path } = readStack(text)
    return { name, template: read('--stack', path), parameters: ofStack(name) }
  })
  refuseUnknownStacks(
    given.map(([name]) => name),
    stacks.map(({ name }) => name),
  )
  const options = { ...place, role, imports, stacks, parameters: ofStack(undefined) }
  return {
    document: await callWithFlags(() => readTemplatePolicy(template, options)),
    resourceId: onlyResourceId([...Object.values(imports), ...given.map(([, value]) => value)]),
  }
}

/** What stands in front of `/` is another stack; a dynamic reference has slashes of its own. */
function splitName(name: string): readonly [stack: string | undefined, name: string] {
  const slash = name.startsWith('resolve:') ? -1 : name.indexOf('/')
  return slash < 0 ? [undefined, name] : [name.slice(0, slash), name.slice(slash + 1)]
}

function refuseUnknownStacks(names: readonly string[], stacks: readonly string[]): void {
  const twice = stacks.find((name, index) => stacks.indexOf(name) < index)
  if (twice !== undefined)
    throw new UsageError(`--stack ${twice} is given twice: name one of them, name=file`)
  const isStray = (stack: string | undefined) => stack !== undefined && !stacks.includes(stack)
  const stray = names.find(name => isStray(splitName(name)[0]))
  if (stray === undefined) return
  const instead = stacks.length === 0 ? '' : `; there is ${stacks.join(', ')}`
  throw new UsageError(
    `--parameter ${stray} is for the stack ${splitName(stray)[0]}, which no --stack gives${instead}`,
  )
}

function readStack(text: string): { readonly name: string; readonly path: string } {
  const [, name, path = text] = /^([A-Za-z0-9-]+)=(.+)$/s.exec(text) ?? []
  return { name: name ?? basename(path).replace(/(\.template)?(\.[a-z]+)?$/i, ''), path }
}

function readPairs(flag: string, texts: readonly string[], names: RegExp): Readonly<Record<string, string>> {
  const pairs = texts.map(text => {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? []
    if (!names.test(name) || (value === '' && flag === '--import'))
      throw new UsageError(`${flag} is not Name=Value; got ${JSON.stringify(text)}`)
    return [name, value] as const
  })
  const all = pairs.map(([name]) => name)
  const twice = all.find((name, index) => all.indexOf(name) < index)
  if (twice !== undefined) throw new UsageError(`${flag} ${twice} is given twice`)
  return Object.fromEntries(pairs)
}

/** The resource id among values, if there is but one: the id itself, or the end of a proxy's ARN. */
function onlyResourceId(values: readonly string[]): string | undefined {
  const ids = values.flatMap(value => {
    const id = value.replace(/^arn:[^:]*:rds:.*:db-proxy:/, '')
    return resourceIdProblem(id) === undefined ? [id] : []
  })
  return new Set(ids).size === 1 ? ids[0] : undefined
}
