import { CfnOutput, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { ScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import { Construct } from 'constructs';
import { INDEX } from '../core/store/keys.ts';
import { FilesBucket } from './constructs/files-bucket.ts';
import { pinLogicalId } from './constructs/logical-id.ts';
import { RoomsTable } from './constructs/rooms-table.ts';
import type { Environment } from './environments.ts';

export interface DataStackProps extends StackProps {
  readonly environment: Environment;
}

/**
 * The stack with all data: the table, the bucket, and the schedules of future starts and ends. It is separate, so that the
 * other stacks can be deleted and deployed again. With the settings `restoredTable` and `restoredBucket`, the other stacks
 * use the restored resources, and this stack keeps its own. See docs/decisions/0040-restored-table-by-setting.md.
 */
export class DataStack extends Stack {
  /** The table that the other stacks use. */
  readonly table: dynamodb.Table | dynamodb.ITable;
  /** The ARN of the table's only index. */
  readonly indexArn: string;
  /** The bucket that the other stacks use. */
  readonly bucket: s3.Bucket | s3.IBucket;
  /** The group of the schedules that announce starts and ends of rooms. */
  readonly schedules: ScheduleGroup;

  constructor(scope: Construct, id: string, { environment, ...props }: DataStackProps) {
    super(scope, id, props);
    const own = new RoomsTable(this, 'Rooms', environment).table;
    const { bucket: ownBucket } = new FilesBucket(this, 'Files', environment);
    const { restoredTable, restoredBucket } = environment;
    this.table = restoredTable === undefined ? own : tableOfStream(this, restoredTable);
    this.indexArn = `${this.table.tableArn}/index/${INDEX}`;
    this.bucket =
      restoredBucket === undefined ? ownBucket : s3.Bucket.fromBucketName(this, 'RestoredBucket', restoredBucket);
    // CloudFormation rejects the change or removal of an export that another stack imports, and this stack is deployed
    // first. Therefore, the exports always exist, even if no stack imports them at the moment.
    for (const value of [own.tableName, own.tableArn, own.tableStreamArn, ownBucket.bucketName, ownBucket.bucketArn])
      this.exportValue(value);
    // The same applies to references of the monitoring stack. This output has the ID of the one that CDK creates for a weak
    // reference.
    const { tableName } = own;
    new CfnOutput(new Construct(this, 'Publish'), `Output${JSON.stringify(this.resolve(tableName))}`, {
      value: tableName,
    });
    this.schedules = new ScheduleGroup(this, 'Schedules', {
      scheduleGroupName: `rooms-${environment.name}-schedules`,
      // The group is not retained: its name would block a new stack, and `npm run reschedule` recreates the schedules from
      // the table.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    pinLogicalId(this.schedules, 'Schedules');
    new CfnOutput(this, 'TableName', { value: own.tableName });
    new CfnOutput(this, 'BucketName', { value: ownBucket.bucketName });
    // For `npm run reschedule`.
    new CfnOutput(this, 'ScheduleGroupName', { value: this.schedules.scheduleGroupName });
  }
}

/** Returns the table of a stream by the stream's ARN, without a lookup. */
function tableOfStream(scope: Construct, tableStreamArn: string): dynamodb.ITable {
  const [tableArn = ''] = tableStreamArn.split('/stream/');
  return dynamodb.Table.fromTableAttributes(scope, 'RestoredTable', {
    tableArn,
    tableStreamArn,
    globalIndexes: [INDEX],
  });
}
