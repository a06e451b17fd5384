import { Duration } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { pascal } from '../../core/contract/names.ts';
import type { Variable } from '../../core/platform/env.ts';
import type { Environment } from '../environments.ts';
import { memoryOf } from '../memory.ts';
import { logGroup } from './log-group.ts';
import { acknowledgeWildcards, type Permission, policy } from './permission.ts';

/** Permission to send traces. X-Ray has no resources. Lambda sends the traces with the function's role. */
const TRACING: Permission = {
  actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'],
  resources: ['*'],
  wildcard: 'X-Ray has no resources: see "Actions, resources, and condition keys for AWS X-Ray".',
};

export interface RoomsFunctionProps {
  /** The name of the function's entry, which is also the key of its reserved concurrency. */
  readonly name: string;
  readonly description: string;
  /** Default: CloudFormation chooses one. A function whose ARN is stored outside the stacks needs a fixed name. */
  readonly functionName?: string;
  /** The folder of the bundle. */
  readonly code: string;
  readonly environment: Environment;
  readonly variables?: { readonly [Name in Variable]?: string };
  /** All permissions of the function, in addition to writing its own log. */
  readonly permissions?: readonly Permission[];
  /** Time-out in seconds. Default: 10, which is acceptable for callers and longer than the retries of the store. */
  readonly timeout?: number;
  /** The queue for asynchronous events that failed three times. */
  readonly deadLetters?: sqs.IQueue;
  /**
   * Whether the function may cause its own invocations endlessly. Otherwise, Lambda stops such a chain after about
   * 16. Default: false.
   */
  readonly recursive?: boolean;
}

/** A function with its own role and log group. */
export class RoomsFunction extends Construct {
  readonly handler: lambda.Function;

  constructor(scope: Construct, id: string, props: RoomsFunctionProps) {
    super(scope, id);
    const { name, functionName, environment, variables = {}, timeout = 10, deadLetters, recursive = false } = props;
    const log = logGroup(this, 'Logs', `${pascal(name)}Logs`, environment);
    const permissions: Permission[] = [
      { actions: ['logs:CreateLogStream', 'logs:PutLogEvents'], resources: [log.logGroupArn] },
      ...(props.permissions ?? []),
      ...(deadLetters ? [{ actions: ['sqs:SendMessage'], resources: [deadLetters.queueArn] }] : []),
      ...(environment.monitoring ? [TRACING] : []),
    ];
    const role = new iam.Role(this, 'Role', {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: { access: policy(permissions) },
    });
    acknowledgeWildcards(role, permissions);
    const reserved = environment.reservedConcurrency[name];
    this.handler = new NodejsFunction(this, 'Function', {
      ...(functionName !== undefined && { functionName }),
      description: props.description,
      code: lambda.Code.fromAsset(props.code),
      handler: 'start.handler',
      runtime: lambda.Runtime.NODEJS_24_X,
      architecture: lambda.Architecture.ARM_64,
      memorySize: memoryOf(name),
      timeout: Duration.seconds(timeout),
      environment: { ...variables, ...(environment.monitoring && { METRICS_ENVIRONMENT: environment.name }) },
      tracing: environment.monitoring ? lambda.Tracing.ACTIVE : lambda.Tracing.DISABLED,
      ...(reserved !== undefined && { reservedConcurrentExecutions: reserved }),
      // The CDK's own policy would be wider than necessary.
      role: role.withoutPolicyUpdates(),
      logGroup: log,
      loggingFormat: lambda.LoggingFormat.JSON,
      ...(deadLetters && { deadLetterQueue: deadLetters }),
      ...(recursive && { recursiveLoop: lambda.RecursiveLoop.ALLOW }),
    });
  }
}
