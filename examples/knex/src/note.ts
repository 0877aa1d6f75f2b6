import { Model } from 'objection'

export class Note extends Model {
  static override tableName = 'note'
  // Only declared: a field of the class would take the place of what Objection sets.
  declare id: number
  declare text: string
}
