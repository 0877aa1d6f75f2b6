import { noValue, referenceReader, type TemplateValues } from './template-names.ts'
import { type CloudFormationTemplate, isRecord, listOf, mapTexts, textOf, wrong } from './template-parts.ts'

/** Evaluates parts of one template; `at` names the place for errors. */
export interface TemplateEvaluator {
  evaluate(value: unknown, at: string): unknown
  /** As it goes into another template: stand-ins for the names of databases stay. */
  evaluateExport(value: unknown, at: string): unknown
  isTrue(condition: string, at: string): boolean
  /** What `Fn::If` leaves, with nothing in it evaluated; nothing where that is `!Ref AWS::NoValue`. */
  choose(value: unknown, at: string): unknown
}

type Evaluate = (value: unknown, at: string) => unknown

/**
 * Evaluates a template's intrinsic functions against given values.
 *
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
 */
export function evaluatorOf(template: CloudFormationTemplate, values: TemplateValues): TemplateEvaluator {
  const refer = referenceReader(template, values)

  /** Puts what stands for the names of databases, and for dynamic references. */
  const settle = (value: unknown, at: string): unknown =>
    mapTexts(value, text =>
      values.databaseNames.reveal(text).replace(/\{\{(resolve:[^{}]*)\}\}/g, (_, reference: string) => {
        const given = values.parameters[reference]
        if (given !== undefined) return given
        const option = `--parameter '${values.prefix ?? ''}${reference}=…'`
        throw wrong(at, `{{${reference}}} is looked up by CloudFormation: give its value with ${option}`)
      }),
    )

  const pending = new Set<string>()
  const isTrue = (name: string, at: string): boolean => {
    const condition = template.Conditions?.[name]
    if (condition === undefined) throw wrong(at, `there is no condition ${name}`)
    if (pending.has(name)) throw wrong(at, `the condition ${name} depends on itself`)
    pending.add(name)
    try {
      return evaluateCondition(condition, `Conditions.${name}`)
    } finally {
      pending.delete(name)
    }
  }

  const choose: Evaluate = (value, at) => {
    const [name, argument] = functionOf(value) ?? []
    if (name === 'Ref' && argument === 'AWS::NoValue') return undefined
    if (name !== 'Fn::If') return value
    const place = `${at}.${name}`
    const [condition, then, otherwise] = listOf(argument, 3, place)
    return isTrue(String(condition), place) ? choose(then, `${place}[1]`) : choose(otherwise, `${place}[2]`)
  }

  const evaluateCondition = (condition: unknown, at: string): boolean => {
    const [name, argument] = onlyEntryOf(condition) ?? []
    const list = Array.isArray(argument) ? argument : []
    const operands = () => list.map((operand, index) => evaluateCondition(operand, `${at}.${name}[${index}]`))
    switch (name) {
      case 'Condition':
        return isTrue(String(argument), at)
      case 'Fn::Equals': {
        const [left, right] = list.map((side, index) => {
          const place = `${at}.${name}[${index}]`
          return settle(evaluate(side, place), place)
        })
        return String(left) === String(right)
      }
      case 'Fn::Not':
        return !operands()[0]
      case 'Fn::And':
        return operands().every(Boolean)
      case 'Fn::Or':
        return operands().some(Boolean)
      default:
        throw wrong(at, `${name ?? JSON.stringify(condition)} is not a condition`)
    }
  }

  const functions: Readonly<Record<string, (argument: unknown, at: string) => unknown>> = {
    Ref: (name, at) => refer(String(name), at),
    'Fn::GetAtt': (path, at) => refer(Array.isArray(path) ? path.join('.') : String(path), at),
    'Fn::Sub': (argument, at) => substitute(argument, at, evaluate, refer),
    'Fn::If': (argument, at) => {
      const [name, then, otherwise] = listOf(argument, 3, at)
      return isTrue(String(name), at) ? evaluate(then, `${at}[1]`) : evaluate(otherwise, `${at}[2]`)
    },
    'Fn::Select': (argument, at) => {
      const [index, list] = listOf(argument, 2, at)
      const items = evaluate(list, `${at}[1]`)
      const item = Array.isArray(items) ? items[Number(evaluate(index, `${at}[0]`))] : undefined
      if (item === undefined) throw wrong(at, `there is no item ${index} in ${JSON.stringify(items)}`)
      return item
    },
    'Fn::Split': (argument, at) => {
      const [separator, text] = listOf(argument, 2, at)
      return textOf(evaluate(text, `${at}[1]`), at).split(String(separator))
    },
    'Fn::Join': (argument, at) => {
      const [separator, list] = listOf(argument, 2, at)
      const items = evaluate(list, `${at}[1]`)
      if (!Array.isArray(items)) throw wrong(at, `takes a list to join, got ${JSON.stringify(items)}`)
      return items.map(item => textOf(item, at)).join(String(separator))
    },
    'Fn::FindInMap': (argument, at) => {
      const fallback = Array.isArray(argument) && argument.length === 4 ? argument[3] : undefined
      const keys = fallback === undefined ? argument : (argument as unknown[]).slice(0, 3)
      const path = listOf(keys, 3, at).map((key, index) => textOf(evaluate(key, `${at}[${index}]`), at))
      const found = path.reduce<unknown>(
        (map, key) => (isRecord(map) ? map[key] : undefined),
        template.Mappings,
      )
      if (found !== undefined) return found
      if (isRecord(fallback)) return evaluate(fallback.DefaultValue, `${at}[3].DefaultValue`)
      throw wrong(at, `Mappings has no ${path.join('.')}`)
    },
    'Fn::ImportValue': (argument, at) =>
      values.importValue(textOf(settle(evaluate(argument, at), at), at), at),
    'Fn::GetStackOutput': (argument, at) => {
      const reference = settle(evaluate(argument, at), at)
      const { StackName, OutputName, Region = values.region, RoleArn } = isRecord(reference) ? reference : {}
      if (typeof StackName !== 'string' || typeof OutputName !== 'string')
        throw wrong(at, `takes StackName and OutputName, got ${JSON.stringify(argument)}`)
      const isElsewhere = Region !== values.region || RoleArn !== undefined
      return values.readOutput({ stack: StackName, output: OutputName, isElsewhere }, at)
    },
  }

  const evaluate: Evaluate = (value, at) => {
    if (Array.isArray(value)) {
      return value.map((item, index) => evaluate(item, `${at}[${index}]`)).filter(item => item !== noValue)
    }
    if (!isRecord(value)) return value
    const [name, argument] = functionOf(value) ?? []
    if (name !== undefined) {
      const call = functions[name]
      if (call === undefined)
        throw wrong(at, `${name} cannot be evaluated here: put what it gives in its place`)
      return call(argument, `${at}.${name}`)
    }
    const entries = Object.entries(value).map(([key, item]) => [key, evaluate(item, `${at}.${key}`)] as const)
    return Object.fromEntries(entries.filter(([, item]) => item !== noValue))
  }

  return {
    evaluate: (value, at) => settle(evaluate(value, at), at),
    evaluateExport: evaluate,
    isTrue,
    choose,
  }
}

/** Replaces `${Name}` and `${Resource.Attribute}`; `${!Literal}` stays as `${Literal}`. */
function substitute(
  argument: unknown,
  at: string,
  evaluate: Evaluate,
  refer: (name: string, at: string) => unknown,
): string {
  const [text, own] = Array.isArray(argument) ? argument : [argument]
  const names = isRecord(own) ? own : {}
  return textOf(text, at).replace(/\$\{(!?)([^}]*)\}/g, (_, literal: string, name: string) => {
    if (literal !== '') return `\${${name}}`
    const key = name.trim()
    return textOf(Object.hasOwn(names, key) ? evaluate(names[key], `${at}[1].${key}`) : refer(key, at), at)
  })
}

/** The intrinsic function that a value is, and its argument. */
function functionOf(value: unknown): readonly [string, unknown] | undefined {
  const entry = onlyEntryOf(value)
  return entry !== undefined && (entry[0] === 'Ref' || entry[0].startsWith('Fn::')) ? entry : undefined
}

function onlyEntryOf(value: unknown): readonly [string, unknown] | undefined {
  const [entry, ...more] = isRecord(value) ? Object.entries(value) : []
  return more.length === 0 ? entry : undefined
}
