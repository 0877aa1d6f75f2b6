import { type App, CrossStackReferences, ReferenceStrength, RemovalPolicy, Stack } from 'aws-cdk-lib'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as rds from 'aws-cdk-lib/aws-rds'

/** A PostgreSQL database that takes tokens, in a VPC without a way out. */
export class DatabaseStack extends Stack {
  readonly vpc: ec2.Vpc
  readonly database: rds.DatabaseInstance

  constructor(app: App, id: string) {
    super(app, id)
    this.vpc = new ec2.Vpc(this, 'Vpc', {
      maxAzs: 2,
      // Tokens are signed by the function itself: no NAT gateway and no VPC endpoint is needed.
      natGateways: 0,
      subnetConfiguration: [{ name: 'private', subnetType: ec2.SubnetType.PRIVATE_ISOLATED }],
    })
    const engine = rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.VER_17 })
    this.database = new rds.DatabaseInstance(this, 'Instance', {
      engine,
      iamAuthentication: true,
      // The master user's secret, which Custom::DatabaseUser reads.
      credentials: rds.Credentials.fromUsername('orders_admin'),
      manageMasterUserPassword: true,
      databaseName: 'orders',
      // Over TLS only.
      parameterGroup: new rds.ParameterGroup(this, 'Parameters', {
        engine,
        parameters: { 'rds.force_ssl': '1' },
      }),
      // The true reason of each refusal stands in it.
      cloudwatchLogsExports: ['iam-db-auth-error'],
      // IAM authentication takes several hundred MiB of memory, which a micro does not have to spare.
      instanceType: ec2.InstanceType.of(ec2.InstanceClass.T4G, ec2.InstanceSize.SMALL),
      allocatedStorage: 20,
      storageType: rds.StorageType.GP3,
      storageEncrypted: true,
      removalPolicy: RemovalPolicy.SNAPSHOT,
      vpc: this.vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      securityGroups: [
        // A database calls nobody.
        new ec2.SecurityGroup(this, 'SecurityGroup', { vpc: this.vpc, allowAllOutbound: false }),
      ],
    })
    // A new instance has another DbiResourceId. By a weak reference, which new projects have, the policies of
    // other stacks would go on to name the former one; by a strong one, CloudFormation refuses the replacement.
    CrossStackReferences.of(this.database).produce(ReferenceStrength.STRONG)
  }
}
