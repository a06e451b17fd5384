import { Duration } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Variable } from '../../core/env.ts';
import type { Environment } from '../environments.ts';
import { logGroup } from './log-group.ts';
import { type Permission, policy } from './permission.ts';

export interface RoomsFunctionProps {
  readonly description: string;
  /** The folder of the bundle. */
  readonly code: string;
  readonly environment: Environment;
  readonly variables?: { readonly [Name in Variable]?: string };
  /** All that the function may do, beside writing its own log. */
  readonly permissions?: readonly Permission[];
  /**
   * Megabytes. CPU comes with memory. Most functions need little of either once they run, but loading their code is all CPU:
   * with 128 MB a start would take about four times as long and cost as much. Default: 512.
   */
  readonly memory?: number;
  /** Seconds. Default: 10, what a caller still waits for; the store's own retries end well before it. */
  readonly timeout?: number;
  /** Where events end that were handed over without waiting for an answer, and failed three times. */
  readonly deadLetters?: sqs.IQueue;
}

/** A function, and the role and log group that it has to itself. */
export class RoomsFunction extends Construct {
  readonly handler: lambda.Function;

  constructor(scope: Construct, id: string, props: RoomsFunctionProps) {
    super(scope, id);
    const { environment, variables = {}, permissions = [], memory = 512, timeout = 10, deadLetters } = props;
    const log = logGroup(this, 'Logs', environment);
    const role = new iam.Role(this, 'Role', {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: {
        access: policy([
          { actions: ['logs:CreateLogStream', 'logs:PutLogEvents'], resources: [log.logGroupArn] },
          ...permissions,
          ...(deadLetters ? [{ actions: ['sqs:SendMessage'], resources: [deadLetters.queueArn] }] : []),
        ]),
      },
    });
    this.handler = new NodejsFunction(this, 'Function', {
      description: props.description,
      code: lambda.Code.fromAsset(props.code),
      handler: 'index.handler',
      runtime: lambda.Runtime.NODEJS_24_X,
      architecture: lambda.Architecture.ARM_64,
      memorySize: memory,
      timeout: Duration.seconds(timeout),
      environment: { ...variables },
      // What the CDK would add by itself is wider than what is needed.
      role: role.withoutPolicyUpdates(),
      logGroup: log,
      loggingFormat: lambda.LoggingFormat.JSON,
      ...(deadLetters && { deadLetterQueue: deadLetters }),
    });
  }
}
