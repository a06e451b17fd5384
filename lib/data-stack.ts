import { CfnOutput, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import { ScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import type { Construct } from 'constructs';
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
 */
export class DataStack extends Stack {
  readonly table: dynamodb.Table;
  /** The ARN of the table's one index. */
  readonly indexArn: string;
  readonly bucket: s3.Bucket;
  /** Where the schedules are that announce starts and ends of rooms. */
  readonly schedules: ScheduleGroup;

  constructor(scope: Construct, id: string, { environment, ...props }: DataStackProps) {
    super(scope, id, props);
    const { table, indexArn } = new RoomsTable(this, 'Rooms', environment);
    const { bucket } = new FilesBucket(this, 'Files', environment);
    this.table = table;
    this.indexArn = indexArn;
    this.bucket = bucket;
    this.schedules = new ScheduleGroup(this, 'Schedules', {
      scheduleGroupName: `rooms-${environment.name}-schedules`,
      // `npm run reschedule` makes its schedules again from the table. A group that is kept would be in the way of a new stack, by its name.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    pinLogicalId(this.schedules, 'Schedules');
    new CfnOutput(this, 'TableName', { value: table.tableName });
    new CfnOutput(this, 'BucketName', { value: bucket.bucketName });
    // For `npm run reschedule`.
    new CfnOutput(this, 'ScheduleGroupName', { value: this.schedules.scheduleGroupName });
  }
}
