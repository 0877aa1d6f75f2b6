import { join } from 'node:path'
import { type CfnResource, CustomResource, Duration, Stack } from 'aws-cdk-lib'
import type * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as lambda from 'aws-cdk-lib/aws-lambda'
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs'
import type * as rds from 'aws-cdk-lib/aws-rds'
import { Construct } from 'constructs'
import { bundlingForPg } from './bundling.ts'

export interface DatabaseUserProps {
  readonly database: rds.DatabaseInstance
  readonly databaseName: string
  readonly user: string
  /** Statements that the master user runs before the grants, at every update too. */
  readonly setup: readonly string[]
  /** All that the user may do. */
  readonly grants: readonly string[]
  readonly vpc: ec2.IVpc
  readonly vpcSubnets: ec2.SubnetSelection
  /** Of functions that reach the database. */
  readonly securityGroup: ec2.ISecurityGroup
}

/** A database user for IAM, created, kept and dropped with the stack by `Custom::DatabaseUser`. */
export class DatabaseUser extends Construct {
  constructor(scope: Construct, id: string, props: DatabaseUserProps) {
    super(scope, id)
    const { database, databaseName, user, setup, grants, vpc, vpcSubnets, securityGroup } = props
    const { secret } = database
    if (secret === undefined) throw new Error(`${id}: the database has no secret of its master user`)
    const common = {
      runtime: lambda.Runtime.NODEJS_24_X,
      architecture: lambda.Architecture.ARM_64,
      memorySize: 512,
      bundling: bundlingForPg,
    }
    // All that the functions can be asked for, whoever invokes them, and only while the stack does just that.
    const { stackId } = Stack.of(this)
    const server = {
      STACK_ID: stackId,
      DATABASE_HOST: database.dbInstanceEndpointAddress,
      DATABASE_PORT: database.dbInstanceEndpointPort,
    }

    // In the VPC, with no right but to run there and to write its log.
    const sqlFunction = new NodejsFunction(this, 'SqlFunction', {
      ...common,
      entry: join(import.meta.dirname, 'functions/database-user-sql.ts'),
      timeout: Duration.seconds(60),
      vpc,
      vpcSubnets,
      securityGroups: [securityGroup],
      environment: server,
    })

    // In no VPC: it reaches Secrets Manager and CloudFormation without a NAT gateway.
    const handler = new NodejsFunction(this, 'Handler', {
      ...common,
      entry: join(import.meta.dirname, 'functions/database-user.ts'),
      // Longer than the one that it waits for, so that CloudFormation always hears of the end.
      timeout: Duration.seconds(120),
      retryAttempts: 0,
      maxEventAge: Duration.seconds(60),
      environment: {
        ...server,
        SQL_FUNCTION: sqlFunction.functionName,
        DATABASE_NAME: databaseName,
        DATABASE_USER: user,
        MASTER_SECRET_ARN: secret.secretArn,
        SETUP: setup.join(';;'),
        GRANTS: grants.join(';;'),
      },
    })
    // There it reads whether it is CloudFormation that asks.
    handler.addToRolePolicy(
      new iam.PolicyStatement({ actions: ['cloudformation:DescribeStackEvents'], resources: [stackId] }),
    )
    secret.grantRead(handler)
    sqlFunction.grantInvoke(handler)

    const resource = new CustomResource(this, 'Resource', {
      resourceType: 'Custom::DatabaseUser',
      serviceToken: handler.functionArn,
      serviceTimeout: Duration.seconds(180),
      properties: {
        Engine: 'postgres',
        Host: server.DATABASE_HOST,
        Port: server.DATABASE_PORT,
        Database: databaseName,
        MasterSecretArn: secret.secretArn,
        User: user,
        Setup: setup,
        Grants: grants,
      },
    })
    const { logicalId } = resource.node.defaultChild as CfnResource
    handler.addEnvironment('LOGICAL_RESOURCE_ID', logicalId)
    // The way to the database, and the rights, are there before the user is created and until it is dropped.
    resource.node.addDependency(securityGroup, sqlFunction, handler)
  }
}
