import { UsageError } from './arguments.ts'

/** The flags that a template is evaluated with. */
export const templateFlags = {
  template: { type: 'string' },
  parameter: { type: 'string', multiple: true },
  import: { type: 'string', multiple: true },
  stack: { type: 'string', multiple: true },
  role: { type: 'string' },
} as const

/** How they are explained. */
export const templateHelp = `  --parameter Name=Value a parameter of the template; an attribute that only a deployed stack has,
                         Database.DbiResourceId=db-ABCDEFGHIJKL01234; what CloudFormation looks up,
                         resolve:ssm:/orders/id=db-ABCDEFGHIJKL01234; AWS::StackName=orders; or one
                         of another stack, network/Stage=live; may be repeated
  --import Name=Value    what Fn::ImportValue imports, by the name of the export, or what
                         Fn::GetStackOutput reads, Database/InstanceId; may be repeated
  --stack [name=]file    the template of another stack that puts it out; the name is that of the
                         file unless given; may be repeated
  --role name            the role of the template, or the function that has it (needed where
                         several may connect): the logical id, of the CDK's also without the hash
                         or the path, OrdersStack/Function/ServiceRole`

/** What the command line says of a template. */
export interface TemplateFlags {
  readonly template?: string | undefined
  readonly parameter?: readonly string[] | undefined
  readonly import?: readonly string[] | undefined
  readonly stack?: readonly string[] | undefined
  readonly role?: string | undefined
}

/** Refuses flags that go with a template where there is none. */
export function refuseTemplateFlags(flags: TemplateFlags, names: readonly (keyof TemplateFlags)[]): void {
  if (flags.template !== undefined) return
  const stray = names.find(name => flags[name] !== undefined)
  if (stray !== undefined) throw new UsageError(`--${stray} goes with --template`)
}
