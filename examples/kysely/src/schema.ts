import type { Generated } from 'kysely'

export interface Schema {
  note: { id: Generated<number>; text: string }
}
