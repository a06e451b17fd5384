import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { FilesBucket } from './constructs/files-bucket.ts';
import { RoomsTable } from './constructs/rooms-table.ts';
import type { Environment } from './environments.ts';

export interface DataStackProps extends StackProps {
  readonly environment: Environment;
}

/** What must not be lost: the table and the bucket. Apart from the rest, so that the rest can be taken down and put up again. */
export class DataStack extends Stack {
  readonly table: dynamodb.Table;
  /** The ARN of the table's one index. */
  readonly indexArn: string;
  readonly bucket: s3.Bucket;

  constructor(scope: Construct, id: string, { environment, ...props }: DataStackProps) {
    super(scope, id, props);
    const { table, indexArn } = new RoomsTable(this, 'Rooms', environment);
    const { bucket } = new FilesBucket(this, 'Files', environment);
    this.table = table;
    this.indexArn = indexArn;
    this.bucket = bucket;
    new CfnOutput(this, 'TableName', { value: table.tableName });
    new CfnOutput(this, 'BucketName', { value: bucket.bucketName });
  }
}
