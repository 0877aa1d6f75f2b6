// What TypeDoc found in the sources, and what the documentation lacks.

/** A module, or what it exports, in TypeDoc's JSON. */
export interface Documented {
  readonly name: string
  readonly kind: number
  readonly flags?: { readonly isOptional?: boolean }
  readonly comment?: Comment
  readonly children?: readonly Documented[]
  readonly signatures?: readonly { readonly comment?: Comment }[]
}

interface Comment {
  readonly blockTags?: readonly {
    readonly tag: string
    readonly content: readonly { readonly text: string }[]
  }[]
}

// https://typedoc.org/api/enums/Models.ReflectionKind.html
export const kinds = { reference: 4_194_304, type: 2_097_152, interface: 256 }

/** What an entry says of itself, and each of its exports but those that another page documents. */
export function documentedParts(module: Documented): readonly Documented[] {
  return [module, ...(module.children ?? []).filter(({ kind }) => kind !== kinds.reference)]
}

/** The texts of a tag, for example of `@example`. */
export function tagsOf({ comment, signatures = [] }: Documented, name: string): readonly string[] {
  return [comment, ...signatures.map(signature => signature.comment)].flatMap(comment =>
    (comment?.blockTags ?? [])
      .filter(({ tag }) => tag === name)
      .map(({ content }) => content.map(({ text }) => text).join('')),
  )
}

/** `middy-rds-iam/pg iamPg`, or the module's name alone. */
export function placeOf(module: Documented, part: Documented): string {
  return part === module ? module.name : `${module.name} ${part.name}`
}

/** The entries and exports without an example, and the options without a default. */
export function findLacking(modules: readonly Documented[]): readonly string[] {
  return modules.flatMap(module =>
    documentedParts(module).flatMap(part => {
      const place = placeOf(module, part)
      const lacking = tagsOf(part, '@example').length === 0 ? [`${place} has no @example`] : []
      if (part.kind !== kinds.interface || !part.name.endsWith('Options')) return lacking
      const optional = (part.children ?? []).filter(({ flags }) => flags?.isOptional)
      const bare = optional.filter(option => tagsOf(option, '@default').length === 0)
      return [...lacking, ...bare.map(({ name }) => `${place}.${name} has no @default`)]
    }),
  )
}
