import { type DatabaseUserOptions, type InvocationContext, readHandlerLogger } from './handler-options.ts'
import { readRequest } from './resource-request.ts'
import { settle } from './settle.ts'
import { answerTimeMs, sendAnswer } from './stack-answer.ts'

/**
 * Makes the handler of the custom resource `Custom::DatabaseUser`, whose function the resource's
 * `ServiceToken` names. It answers CloudFormation, whatever happens, and has the SQL run by the function of
 * {@link createHandlerInsideVpc}.
 *
 * **Where it runs**: in no VPC. It has to reach Secrets Manager, Lambda and CloudFormation, which takes no
 * NAT gateway there. Its time limit should be twice that of the other function, and asynchronous invocations
 * should not be repeated (`MaximumRetryAttempts: 0`), nor begin when nobody waits for them any more
 * (`MaximumEventAgeInSeconds: 60`).
 *
 * **Its event** is a request of CloudFormation's (`RequestType`, `ResponseURL`, `StackId`, `RequestId`,
 * `LogicalResourceId`, and where there is one `PhysicalResourceId`). The properties in it:
 * - `Engine`: `postgres`, or `mysql`, which is MariaDB's too;
 * - `Host`, `Port`, `Database`, `User`: the user, and the database that it is for;
 * - `MasterSecretArn`: a secret in Secrets Manager with the texts `username` and `password`;
 * - `Setup`, optional: statements that the master user runs before the grants, at every update too;
 * - `Grants`, optional: all that the user may do, `SELECT, INSERT ON notes` for example.
 *
 * **Whom it obeys**: anybody who may invoke the function can send such an event. It is answered at an address
 * of CloudFormation's own bucket and nowhere else. It may ask for what the template asks for, which the
 * template says twice: in the resource, and in the function's environment variables. And before anything is
 * done, the events of the stack have to say that CloudFormation creates, updates or deletes the resource just
 * then, so that nobody else can have the user created or dropped. A deletion has no properties to compare: it
 * reaches the server of the stack alone, and drops what the resource made there.
 *
 * **Environment variables**: `SQL_FUNCTION` is the name or ARN of the other function, `STACK_ID` the ARN of
 * the stack, and `LOGICAL_RESOURCE_ID` the name of the resource in the template, `OrdersUser` for example.
 * `DATABASE_HOST`, `DATABASE_PORT`, `DATABASE_NAME`, `DATABASE_USER` and `MASTER_SECRET_ARN` are the
 * properties of those meanings; `SETUP` and `GRANTS` are the texts of theirs, joined by `;;`.
 *
 * **Permissions**: `cloudformation:DescribeStackEvents` on the stack, `secretsmanager:GetSecretValue` on the
 * secret, `kms:Decrypt` on its key if that is one of your own, `lambda:InvokeFunction` on the other function,
 * and to write its log.
 *
 * **Packages**: `@aws-sdk/client-cloudformation`, `@aws-sdk/client-lambda` and
 * `@aws-sdk/client-secrets-manager`, which Lambda's Node.js runtimes bring.
 *
 * @example
 * ```ts
 * import { createHandlerOutsideVpc } from 'middy-rds-iam/database-user'
 * export const handler = createHandlerOutsideVpc()
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem of the options at once. The handler throws
 * where the event is no request of CloudFormation's, and where CloudFormation cannot be answered.
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-custom-resources-lambda.html
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-requests.html
 * @see https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
 */
export function createHandlerOutsideVpc(
  options?: DatabaseUserOptions,
): (event: unknown, context: InvocationContext) => Promise<void> {
  const logger = readHandlerLogger('createHandlerOutsideVpc', 'database-user', options)
  return async (event, context) => {
    const request = readRequest(event, process.env.AWS_REGION ?? '')
    const { RequestType, LogicalResourceId } = request
    const timeMs = Math.max(1_000, context.getRemainingTimeInMillis() - answerTimeMs)
    const answer = await settle(request, AbortSignal.timeout(timeMs))
    logger.info('request settled', { RequestType, LogicalResourceId, ...answer })
    await sendAnswer(request, answer)
  }
}
