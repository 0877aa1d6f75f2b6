import type { DatabaseNames } from './database-names.ts'
import { expandLoops } from './for-each.ts'
import { evaluatorOf, type TemplateEvaluator } from './intrinsics.ts'
import type { TemplateValues } from './template-names.ts'
import { type CloudFormationTemplate, isRecord, wrong } from './template-parts.ts'

/**
 * Another stack, which exports what the template imports.
 *
 * @example { name: 'network', template: { Resources: {} }, parameters: { Stage: 'test' } }
 */
export interface TemplateStack {
  /** Its name, which `AWS::StackName` stands for in it, for example `network`. */
  readonly name: string
  /** As parsed JSON or YAML. */
  readonly template: CloudFormationTemplate
  /** As for the template itself. @default {} */
  readonly parameters?: Readonly<Record<string, string>> | undefined
}

/** What the values for exports are looked up in. */
export interface TemplateExports {
  /** Values of exports by name, and of outputs by `Stack/Output`. */
  readonly imports: Readonly<Record<string, string>>
  readonly stacks: readonly TemplateStack[]
}

type Place = Pick<TemplateValues, 'region' | 'accountId' | 'partition'>

/** A template with its loops written out, and its evaluator. */
export function openTemplate(
  template: CloudFormationTemplate,
  values: TemplateValues,
): { readonly template: CloudFormationTemplate; readonly evaluator: TemplateEvaluator } {
  const { evaluate } = evaluatorOf(template, values)
  const expanded = expandLoops(template, '', evaluate) as CloudFormationTemplate
  return { template: expanded, evaluator: evaluatorOf(expanded, values) }
}

/**
 * Looks up what `Fn::ImportValue` and `Fn::GetStackOutput` take from other stacks: a value that was given, or
 * an output of another template.
 */
export function stackReader(
  { imports, stacks }: TemplateExports,
  place: Place,
  databaseNames: DatabaseNames,
): Pick<TemplateValues, 'importValue' | 'readOutput'> {
  const pending = new Set<string>()
  /** The first value that a stack has. Whatever a value is made of may come from another stack in turn. */
  const look = (
    what: string,
    at: string,
    find: (stack: TemplateStack) => { readonly value: unknown } | undefined,
  ) => {
    if (pending.has(what)) throw wrong(at, `${what} depends on itself`)
    pending.add(what)
    try {
      for (const stack of stacks) {
        const found = find(stack)
        if (found !== undefined) return found
      }
    } finally {
      pending.delete(what)
    }
    return undefined
  }

  const importValue: TemplateValues['importValue'] = (name, at) => {
    if (Object.hasOwn(imports, name)) return imports[name]
    const what = `the export ${name}`
    const found = look(what, at, stack =>
      findOutput(stack, (_id, { Export }, at, evaluator) =>
        isRecord(Export) ? evaluator.evaluate(Export.Name, `${at}.Export.Name`) === name : false,
      ),
    )
    if (found !== undefined) return found.value
    throw wrong(
      at,
      `${what} has no value: give it with --import '${name}=…', or the template of the stack that exports it with --stack`,
    )
  }

  const readOutput: TemplateValues['readOutput'] = ({ stack: wanted, output, isElsewhere }, at) => {
    const name = `${wanted}/${output}`
    if (Object.hasOwn(imports, name)) return imports[name]
    const what = `the output ${output} of the stack ${wanted}`
    const option = `--import '${name}=…'`
    // What a template says of its own Region and account would be evaluated for this one.
    if (isElsewhere) throw wrong(at, `${what} is in another Region or account: give its value with ${option}`)
    const found = look(what, at, stack =>
      stack.name === wanted ? findOutput(stack, id => id === output) : undefined,
    )
    if (found !== undefined) return found.value
    throw wrong(at, `${what} has no value: give it with ${option}, or the template of the stack with --stack`)
  }

  const findOutput = (
    { name, template, parameters = {} }: TemplateStack,
    isWanted: (
      id: string,
      output: Readonly<Record<string, unknown>>,
      at: string,
      evaluator: TemplateEvaluator,
    ) => boolean,
  ) => {
    const prefix = `${name}/`
    const values = { ...place, stackName: name, parameters, prefix, databaseNames, ...reader }
    const { template: opened, evaluator } = openTemplate(template, values)
    for (const [id, output] of Object.entries(opened.Outputs ?? {})) {
      if (!isRecord(output)) continue
      const at = `${name}: Outputs.${id}`
      if (typeof output.Condition === 'string' && !evaluator.isTrue(output.Condition, at)) continue
      if (!isWanted(id, output, at, evaluator)) continue
      return { value: evaluator.evaluateExport(output.Value, `${at}.Value`) }
    }
    return undefined
  }
  const reader = { importValue, readOutput }
  return reader
}
