import { EntitySchema } from 'typeorm'

export interface Note {
  id: number
  text: string
}

/** A schema in place of decorators, which Node.js does not run without a compiler. */
export const Note = new EntitySchema<Note>({
  name: 'note',
  columns: {
    id: { type: 'int', primary: true, generated: true },
    text: { type: 'text' },
  },
})
