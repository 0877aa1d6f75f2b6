import { RdsIamError } from 'middy-rds-iam'
import { partitionOf, urlSuffixOf } from 'middy-rds-iam/identifiers'

/** A CloudFormation template as parsed: `!Ref X` stands in it as `{ Ref: 'X' }`. */
export interface CloudFormationTemplate {
  readonly Parameters?: Readonly<Record<string, { readonly Default?: unknown }>>
  readonly Mappings?: unknown
  readonly Conditions?: Readonly<Record<string, unknown>>
  readonly Resources?: Readonly<Record<string, unknown>>
}

/** What a template's intrinsic functions are evaluated with. */
export interface TemplateValues {
  readonly region: string
  readonly accountId: string
  /** @default the one that the Region's name tells, else `aws` */
  readonly partition?: string | undefined
  /**
   * Parameters, and attributes of resources:
   * `{ DatabaseUser: 'notes_app', 'Database.DbiResourceId': 'db-ABCDEFGHIJKL01234' }`.
   */
  readonly parameters: Readonly<Record<string, string>>
}

/** Evaluates parts of one template; `at` names the place for errors. */
export interface TemplateEvaluator {
  evaluate(value: unknown, at: string): unknown
  isTrue(condition: string, at: string): boolean
  /** What `Fn::If` leaves, with nothing in it evaluated; nothing where that is `!Ref AWS::NoValue`. */
  choose(value: unknown, at: string): unknown
}

/** What a value that is to be left out evaluates to, `!Ref AWS::NoValue`. */
const noValue = Symbol('AWS::NoValue')

type Evaluate = (value: unknown, at: string) => unknown

/**
 * Evaluates a template's intrinsic functions against given values.
 *
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
 */
export function evaluatorOf(template: CloudFormationTemplate, values: TemplateValues): TemplateEvaluator {
  // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
  const pseudo: Readonly<Record<string, unknown>> = {
    'AWS::Region': values.region,
    'AWS::AccountId': values.accountId,
    'AWS::Partition': values.partition ?? partitionOf(values.region),
    'AWS::URLSuffix': urlSuffixOf(values.region),
    'AWS::StackName': 'local',
    'AWS::NoValue': noValue,
  }

  const refer = (name: string, at: string): unknown => {
    if (Object.hasOwn(pseudo, name)) return pseudo[name]
    const parameters = template.Parameters ?? {}
    const parameter = Object.hasOwn(parameters, name) ? parameters[name] : undefined
    const value = Object.hasOwn(values.parameters, name) ? values.parameters[name] : undefined
    const given = value ?? parameter?.Default
    if (given !== undefined) return given
    const what = parameter !== undefined ? 'a parameter without a default' : 'not known'
    throw wrong(at, `${name} is ${what}: give its value with --parameter ${name}=…`)
  }

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
        const [left, right] = list.map((side, index) => evaluate(side, `${at}.${name}[${index}]`))
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
      return (Array.isArray(items) ? items : []).map(item => textOf(item, at)).join(String(separator))
    },
    'Fn::FindInMap': (argument, at) => {
      const path = listOf(argument, 3, at).map((key, index) => textOf(evaluate(key, `${at}[${index}]`), at))
      const found = path.reduce<unknown>(
        (map, key) => (isRecord(map) ? map[key] : undefined),
        template.Mappings,
      )
      if (found === undefined) throw wrong(at, `Mappings has no ${path.join('.')}`)
      return found
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
      if (call === undefined) throw wrong(at, `${name} cannot be evaluated here`)
      return call(argument, `${at}.${name}`)
    }
    const entries = Object.entries(value).map(([key, item]) => [key, evaluate(item, `${at}.${key}`)] as const)
    return Object.fromEntries(entries.filter(([, item]) => item !== noValue))
  }

  return { evaluate, isTrue, choose }
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

function listOf(argument: unknown, length: number, at: string): readonly unknown[] {
  if (Array.isArray(argument) && argument.length === length) return argument
  throw wrong(at, `takes a list of ${length}, got ${JSON.stringify(argument)}`)
}

function textOf(value: unknown, at: string): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  throw wrong(at, `is not a text: ${JSON.stringify(value)}`)
}

/** @param at The place in the template, `Resources.NotesRole` for example. */
export function wrong(at: string, problem: string): RdsIamError {
  return new RdsIamError('RDS_IAM_OPTIONS', `The template cannot be used: ${at}: ${problem}`)
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
