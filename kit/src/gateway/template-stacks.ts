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
  /** Values of exports by name. */
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

/** Looks up what `Fn::ImportValue` imports: a value that was given, or an output of another stack. */
export function importReader(
  { imports, stacks }: TemplateExports,
  place: Place,
  databaseNames: DatabaseNames,
): TemplateValues['importValue'] {
  const pending = new Set<string>()
  const importValue = (name: string, at: string): unknown => {
    if (Object.hasOwn(imports, name)) return imports[name]
    if (pending.has(name)) throw wrong(at, `the export ${name} depends on itself`)
    pending.add(name)
    try {
      for (const stack of stacks) {
        const found = findExport(name, stack)
        if (found !== undefined) return found.value
      }
    } finally {
      pending.delete(name)
    }
    throw wrong(
      at,
      `the export ${name} has no value: give it with --import '${name}=…', or the template of the stack that exports it with --stack`,
    )
  }

  const findExport = (wanted: string, { name, template, parameters = {} }: TemplateStack) => {
    const prefix = `${name}/`
    const values = { ...place, stackName: name, parameters, prefix, databaseNames, importValue }
    const { template: opened, evaluator } = openTemplate(template, values)
    for (const [id, output] of Object.entries(opened.Outputs ?? {})) {
      if (!isRecord(output) || !isRecord(output.Export)) continue
      const at = `${name}: Outputs.${id}`
      if (typeof output.Condition === 'string' && !evaluator.isTrue(output.Condition, at)) continue
      if (evaluator.evaluate(output.Export.Name, `${at}.Export.Name`) !== wanted) continue
      return { value: evaluator.evaluateExport(output.Value, `${at}.Value`) }
    }
    return undefined
  }
  return importValue
}
