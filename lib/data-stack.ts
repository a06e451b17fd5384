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
 * What must not be lost: the table, the bucket, and the schedules of rooms that are still to start or end. Apart from the rest, so that
 * the rest can be taken down and put up again.
 *
 * With the settings `restoredTable` and `restoredBucket`, the other stacks use those, and this stack keeps its own. See
 * docs/decisions/0040-restored-table-by-setting.md.
 */
export class DataStack extends Stack {
  /** The table that the other stacks use. */
  readonly table: dynamodb.Table | dynamodb.ITable;
  /** The ARN of the table's one index. */
  readonly indexArn: string;
  /** The bucket that the other stacks use. */
  readonly bucket: s3.Bucket | s3.IBucket;
  /** Where the schedules are that announce starts and ends of rooms. */
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
    // CloudFormation refuses to change or remove an export while another stack imports it, and this stack is deployed first. So
    // the exports stay as they are, also when the other stacks have just stopped to import them, or are about to do so again.
    for (const value of [own.tableName, own.tableArn, own.tableStreamArn, ownBucket.bucketName, ownBucket.bucketArn])
      this.exportValue(value);
    // The same for what the monitoring stack refers to: the output that CDK makes for a weak reference, under the same ID.
    const { tableName } = own;
    new CfnOutput(new Construct(this, 'Publish'), `Output${JSON.stringify(this.resolve(tableName))}`, {
      value: tableName,
    });
    this.schedules = new ScheduleGroup(this, 'Schedules', {
      scheduleGroupName: `rooms-${environment.name}-schedules`,
      // `npm run reschedule` makes its schedules again from the table. A group that is kept would be in the way of a new stack, by its name.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    pinLogicalId(this.schedules, 'Schedules');
    new CfnOutput(this, 'TableName', { value: own.tableName });
    new CfnOutput(this, 'BucketName', { value: ownBucket.bucketName });
    // For `npm run reschedule`.
    new CfnOutput(this, 'ScheduleGroupName', { value: this.schedules.scheduleGroupName });
  }
}

/** Returns the table that a stream is of, by the stream's ARN: nothing of it is looked up. */
function tableOfStream(scope: Construct, tableStreamArn: string): dynamodb.ITable {
  const [tableArn = ''] = tableStreamArn.split('/stream/');
  return dynamodb.Table.fromTableAttributes(scope, 'RestoredTable', {
    tableArn,
    tableStreamArn,
    globalIndexes: [INDEX],
  });
}
