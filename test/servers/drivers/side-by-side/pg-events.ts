// Whom a client of pg calls, and how it ends, whoever made it.
import { AsyncLocalStorage } from 'node:async_hooks'
import pg from 'pg'
import { type Behaviour, describeError, failureOf, listen, settle } from '../../../support/side-by-side.ts'

type Client = pg.Client

export const pgEvents: readonly Behaviour<Client>[] = [
  {
    name: 'emits drain when it has nothing to do',
    run: async client => {
      const heard = listen(client, ['drain'])
      await Promise.all([client.query('SELECT 1'), client.query('SELECT 2')])
      await settle()
      return heard
    },
  },
  {
    name: 'tells of notices and notifications',
    run: async client => {
      const heard: unknown[] = []
      client.on('notice', notice => heard.push(['notice', describeError(notice), notice.message]))
      client.on('notification', ({ channel, payload }) => heard.push([channel, payload]))
      await client.query(`DO $$ BEGIN RAISE NOTICE 'heard'; END $$`)
      await client.query('LISTEN news')
      await client.query(`NOTIFY news, 'today'`)
      await client.query('SELECT 1')
      return heard
    },
  },
  {
    name: 'lets listeners be added, removed and counted',
    run: async client => {
      let count = 0
      const listener = () => {
        count += 1
      }
      const chained =
        client.on('notice', listener) === client && client.addListener('notice', listener) === client
      const raise = () => client.query(`DO $$ BEGIN RAISE NOTICE 'heard'; END $$`)
      await raise()
      client.off('notice', listener).removeListener('notice', listener)
      client.once('notice', listener)
      await raise()
      await raise()
      return [chained, count]
    },
  },
  {
    name: 'has no listeners but those that were added',
    run: async client => ['notice', 'notification', 'end'].map(name => client.listenerCount(name)),
    differs: {
      documented: 'it listens for `error` and `notice` itself',
      product: { value: [1, 0, 0] },
      sides: ['iamPg', 'a client of iamPgPool', 'a client of createPgPool'],
    },
  },
  {
    name: 'calls back in the context in which its socket was opened',
    run: async client => {
      const context = new AsyncLocalStorage<string>()
      const heard: unknown[] = []
      client.on('notice', () => heard.push(['notice', context.getStore()]))
      await context.run('caller', () => client.query(`DO $$ BEGIN RAISE NOTICE 'heard'; END $$`))
      await context.run(
        'caller',
        () =>
          new Promise<void>(resolve =>
            client.query('SELECT 1', () => {
              heard.push(['callback', context.getStore()])
              resolve()
            }),
          ),
      )
      return heard
    },
    differs: {
      documented: 'runs in the asynchronous context (`AsyncLocalStorage`) that sent the query',
      product: {
        value: [
          ['notice', 'caller'],
          ['callback', 'caller'],
        ],
      },
      sides: ['iamPg', 'a client of iamPgPool', 'a client of createPgPool'],
    },
  },
  {
    name: 'runs a pg.Query with events',
    run: async client => {
      const run = async (text: string) => {
        const heard: unknown[] = []
        const query = new pg.Query(text)
        query.on('row', row => heard.push(row))
        query.on('error', error => heard.push(describeError(error)))
        query.on('end', () => heard.push('end'))
        const isSame = (client.query(query) as unknown) === query
        await client.query('SELECT 1')
        return [isSame, heard]
      }
      return [await run('SELECT generate_series(1, 3) AS n'), await run('SELECT nothing')]
    },
  },
  {
    name: 'is ended by itself, with a promise or a callback',
    run: async client => {
      const heard = listen(client, ['end', 'error'])
      const told = await new Promise(resolve =>
        client.end(((...given: unknown[]) => resolve(given)) as never),
      )
      await settle()
      return [
        told,
        heard,
        await failureOf(client.end()),
        await failureOf(client.query('SELECT 1')),
        await failureOf(client.connect()),
      ]
    },
  },
  {
    name: 'tells of a session that the server ended',
    run: async client => {
      // Without one, the process would end.
      const heard: unknown[] = []
      client.on('error', error => heard.push(['error', error.message]))
      client.on('end', () => heard.push('end'))
      const ended = new Promise<void>(resolve => client.once('end', resolve))
      const failure = await failureOf(client.query('SELECT pg_terminate_backend(pg_backend_pid())'))
      await ended
      return [failure, heard, await failureOf(client.query('SELECT 1'))]
    },
  },
]
