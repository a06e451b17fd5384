import { RemovalPolicy } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Settings } from '../environments.ts';

/** A log group with the environment's retention. */
export const logGroup = (
  scope: Construct,
  id: string,
  { logRetentionDays, retainData }: Pick<Settings, 'logRetentionDays' | 'retainData'>,
): logs.LogGroup =>
  new logs.LogGroup(scope, id, {
    retention: logRetentionDays,
    removalPolicy: retainData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  });
