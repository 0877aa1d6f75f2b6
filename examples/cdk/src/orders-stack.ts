import { join } from 'node:path'
import { type App, Duration, Stack } from 'aws-cdk-lib'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as lambda from 'aws-cdk-lib/aws-lambda'
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs'
import type * as rds from 'aws-cdk-lib/aws-rds'
import { bundlingForPg } from './bundling.ts'
import { DatabaseUser } from './database-user.ts'

export interface OrdersProps {
  readonly vpc: ec2.IVpc
  readonly database: rds.DatabaseInstance
}

/** A function that reads orders as the database user orders_app, and that user. */
export class OrdersStack extends Stack {
  constructor(app: App, id: string, { vpc, database }: OrdersProps) {
    super(app, id)
    const user = 'orders_app'
    const vpcSubnets = { subnetType: ec2.SubnetType.PRIVATE_ISOLATED }

    const securityGroup = new ec2.SecurityGroup(this, 'FunctionSecurityGroup', {
      vpc,
      allowAllOutbound: false,
    })
    // An entry of its own: without one, CloudFormation lets everything out.
    securityGroup.addEgressRule(ec2.Peer.ipv4('127.0.0.1/32'), ec2.Port.allTraffic(), 'Nowhere else')
    // From this side: both rules are resources of this stack, and the other one knows nothing of it.
    securityGroup.connections.allowToDefaultPort(database)

    const orders = new NodejsFunction(this, 'OrdersFunction', {
      entry: join(import.meta.dirname, 'functions/orders.ts'),
      runtime: lambda.Runtime.NODEJS_24_X,
      architecture: lambda.Architecture.ARM_64,
      // CPU comes with memory, and the TLS handshake of a cold start is CPU.
      memorySize: 512,
      // Longer than the time to connect (10 s), so that a failure is told by its own error.
      timeout: Duration.seconds(15),
      vpc,
      vpcSubnets,
      securityGroups: [securityGroup],
      environment: {
        PGHOST: database.dbInstanceEndpointAddress,
        PGPORT: database.dbInstanceEndpointPort,
        PGUSER: user,
        PGDATABASE: 'orders',
      },
      bundling: bundlingForPg,
    })
    database.grantConnect(orders, user)

    new DatabaseUser(this, 'OrdersUser', {
      database,
      databaseName: 'orders',
      user,
      // Run as the master user, at every update too: statements that may be repeated.
      setup: ['CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, total integer NOT NULL)'],
      // All that the user may do: GRANT … TO orders_app.
      grants: ['SELECT ON orders'],
      vpc,
      vpcSubnets,
      securityGroup,
    })
  }
}
