import { RemovalPolicy } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Settings } from '../environments.ts';
import { pinLogicalId } from './logical-id.ts';

/** Creates a log group with the environment's retention. */
export function logGroup(
  scope: Construct,
  id: string,
  logicalId: string,
  { logRetentionDays, retainData }: Pick<Settings, 'logRetentionDays' | 'retainData'>,
): logs.LogGroup {
  const made = new logs.LogGroup(scope, id, {
    retention: logRetentionDays,
    removalPolicy: retainData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  });
  pinLogicalId(made, logicalId);
  return made;
}
