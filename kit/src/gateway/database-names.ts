import { isRecord, mapTexts, wrong } from './template-parts.ts'

/** A reference to a resource of RDS by something else than its resource id. */
interface DatabaseName {
  /** As it is referred to, `Cluster` or `Db.DBInstanceIdentifier`. */
  readonly reference: string
  /** What to write in its place where a resource id is wanted. */
  readonly remedy: string
  readonly at: string
  /** Its value, where one was given. */
  readonly ask: () => unknown
}

/**
 * Keeps names of databases out of ARNs of `rds-db`, whatever value they are given: where a name ends up is
 * known only when all functions around it are evaluated, so a stand-in goes through them.
 */
export interface DatabaseNames {
  /**
   * Gives a stand-in for a reference that is not the resource id of a database.
   *
   * @param ask Gives the value, or throws where there is none.
   */
  hide(reference: string, resource: unknown, at: string, ask: () => unknown): string | undefined
  /** Puts the values for stand-ins. @throws {RdsIamError} in place of a resource id. */
  reveal(text: string): string
}

// What the attributes are: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_RDS.html
// Which id is wanted: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
const resourceIds: Readonly<Record<string, string>> = {
  'AWS::RDS::DBInstance': 'DbiResourceId',
  'AWS::RDS::DBCluster': 'DBClusterResourceId',
  'AWS::RDS::DBProxy': 'DBProxyArn',
}

function remedyOf(id: string, type: string): string {
  switch (type) {
    case 'AWS::RDS::DBInstance':
    case 'AWS::RDS::DBCluster':
      return `write !GetAtt ${id}.${resourceIds[type]}`
    case 'AWS::RDS::DBProxy':
      return `write the prx-… part of its ARN, !Select [6, !Split [":", !GetAtt ${id}.DBProxyArn]]`
    case 'AWS::RDS::DBProxyEndpoint':
    case 'AWS::RDS::DBProxyTargetGroup':
      return 'write the prx-… part of the proxy\'s ARN, !Select [6, !Split [":", !GetAtt Proxy.DBProxyArn]]'
    case 'AWS::RDS::GlobalCluster':
      return 'write !GetAtt Cluster.DBClusterResourceId of each of its clusters'
    default:
      return "write !GetAtt Db.DbiResourceId of an instance, or a cluster's DBClusterResourceId"
  }
}

export function keepDatabaseNames(): DatabaseNames {
  const names: DatabaseName[] = []
  return {
    hide(reference, resource, at, ask) {
      const type = isRecord(resource) ? String(resource.Type) : ''
      const [id = '', ...attribute] = reference.split('.')
      if (!type.startsWith('AWS::RDS::') || attribute.join('.') === resourceIds[type]) return undefined
      return `\0${names.push({ reference, remedy: remedyOf(id, type), at, ask }) - 1}\0`
    },
    reveal(text) {
      const isPrivate = /^arn:[^:]*:rds-db:/.test(text)
      // Behind the slash is the user, who may be called as the database is.
      const end = text.indexOf('/')
      return text.replace(/\0(\d+)\0/g, (standIn, index: string, place: number) => {
        const name = names[Number(index)]
        // The template's own text, and no stand-in.
        if (name === undefined) return standIn
        const { reference, remedy, at, ask } = name
        if (isPrivate && (end < 0 || place < end))
          throw wrong(at, `${reference} is not the resource id that an ARN of rds-db names: ${remedy}`)
        return String(ask())
      })
    },
  }
}

/** The whole ARN of a proxy in place of its id matches nothing, and looks right. */
export function refuseArnAsId(statement: unknown, at: string): void {
  mapTexts(statement, text => {
    const [, type = ''] = /^arn:[^:]*:rds-db:.*:dbuser:arn:[^:]*:rds:[^:]*:[^:]*:([^:/]*)/.exec(text) ?? []
    const part =
      type === 'db-proxy' ? 'the prx-… part of it, !Select [6, !Split [":", …]]' : 'its resource id'
    if (type !== '') throw wrong(at, `${text} has a whole ARN in it: take ${part}`)
    return text
  })
}
