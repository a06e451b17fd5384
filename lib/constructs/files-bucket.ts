import { CfnResource, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import type { Environment } from '../environments.ts';
import { logGroup } from './log-group.ts';
import { pinLogicalId } from './logical-id.ts';

/**
 * Number of days that deleted files are kept. It equals the point-in-time recovery of the table, so that a restored table has its files.
 */
const RECOVERY_DAYS = 35;

/** Origins whose pages may upload and download, and whether the bucket survives its stack. */
type FilesBucketProps = Pick<Environment, 'allowedOrigins' | 'logRetentionDays' | 'retainData'>;

/**
 * The bucket for the files of rooms, under `rooms/<room_id>/`. Clients access them only with a presigned URL, over
 * TLS.
 */
export class FilesBucket extends Construct {
  readonly bucket: s3.Bucket;

  constructor(scope: Construct, id: string, environment: FilesBucketProps) {
    super(scope, id);
    const { allowedOrigins, retainData } = environment;
    const { PUT, GET, HEAD } = s3.HttpMethods;
    this.bucket = new s3.Bucket(this, 'Bucket', {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      encryption: s3.BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      // S3 rejects a CORS rule without an origin.
      cors:
        allowedOrigins.length === 0
          ? []
          : [
              {
                allowedOrigins: [...allowedOrigins],
                allowedMethods: [PUT, GET, HEAD],
                allowedHeaders: ['content-type', 'if-none-match'],
                exposedHeaders: ['ETag'],
                maxAge: 3_600,
              },
            ],
      versioned: true,
      lifecycleRules: [
        { id: 'abort-unfinished-uploads', abortIncompleteMultipartUploadAfter: Duration.days(1) },
        {
          id: 'delete-old-versions',
          noncurrentVersionExpiration: Duration.days(retainData ? RECOVERY_DAYS : 1),
          // Removes the delete marker that remains after the last version was deleted.
          expiredObjectDeleteMarker: true,
        },
      ],
      removalPolicy: retainData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      // S3 does not delete a bucket with files, so a function of the CDK deletes them first. The function can delete every
      // file, so it is created only if the bucket does not survive its stack.
      autoDeleteObjects: !retainData,
    });
    pinLogicalId(this.bucket, 'FilesBucket');
    if (!retainData) this.#keepLog(environment);
    Validations.of(this.bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        'Files are accessible only by presigned URLs, and the functions that sign them log the user and the file. ' +
        'Access logs would need a second bucket, and are delivered late and incompletely.',
    });
  }

  /** Creates the log group of that function. A log group that Lambda creates would remain after the stack is deleted. */
  #keepLog(environment: FilesBucketProps): void {
    const provider = Stack.of(this).node.findChild('Custom::S3AutoDeleteObjectsCustomResourceProvider');
    const handler = provider.node.findChild('Handler');
    if (!CfnResource.isCfnResource(handler)) throw new Error(`${handler.node.path} is not a CloudFormation resource.`);
    const { logGroupName } = logGroup(this, 'EmptyBucketLogs', 'EmptyBucketLogs', environment);
    handler.addPropertyOverride('LoggingConfig.LogGroup', logGroupName);
  }
}
