import { Duration } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { pascal } from '../../core/contract/names.ts';
import type { Variable } from '../../core/env.ts';
import type { Environment } from '../environments.ts';
import { memoryOf } from '../memory.ts';
import { logGroup } from './log-group.ts';
import { acknowledgeWildcards, type Permission, policy } from './permission.ts';

/** X-Ray has no resources. Lambda sends its traces with the function's role; the function itself has nothing to do with it. */
const TRACING: Permission = {
  actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'],
  resources: ['*'],
  wildcard:
    'X-Ray has no resources that a permission could name: see "Actions, resources, and condition keys for AWS X-Ray".',
};

export interface RoomsFunctionProps {
  /** Of its entry: the key of its reserved concurrency. */
  readonly name: string;
  readonly description: string;
  /** Default: CloudFormation gives it one. A function whose ARN is stored outside the stacks needs one that stays. */
  readonly functionName?: string;
  /** The folder of the bundle. */
  readonly code: string;
  readonly environment: Environment;
  readonly variables?: { readonly [Name in Variable]?: string };
  /** All that the function may do, beside writing its own log. */
  readonly permissions?: readonly Permission[];
  /** Seconds. Default: 10, what a caller still waits for; the store's own retries end well before it. */
  readonly timeout?: number;
  /** Where events end that were handed over without waiting for an answer, and failed three times. */
  readonly deadLetters?: sqs.IQueue;
  /** Whether the function may cause its own invocations without end. Otherwise Lambda stops such a chain after about 16. Default: false. */
  readonly recursive?: boolean;
}

/** A function, and the role and log group that it has to itself. */
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
      // What the CDK would add by itself is wider than what is needed.
      role: role.withoutPolicyUpdates(),
      logGroup: log,
      loggingFormat: lambda.LoggingFormat.JSON,
      ...(deadLetters && { deadLetterQueue: deadLetters }),
      ...(recursive && { recursiveLoop: lambda.RecursiveLoop.ALLOW }),
    });
  }
}
