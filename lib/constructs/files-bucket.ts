import { CfnResource, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import type { Environment } from '../environments.ts';
import { logGroup } from './log-group.ts';
import { pinLogicalId } from './logical-id.ts';

/**
 * As long as the table can be restored (DynamoDB's point-in-time recovery), so that a restored table finds its files.
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
      // S3 accepts no rule without an origin.
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
          // The delete marker that stays after the last version has been removed.
          expiredObjectDeleteMarker: true,
        },
      ],
      removalPolicy: retainData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      // S3 does not delete a bucket with files, so a function of the CDK deletes them first. It may delete every
      // file, so it does not exist if the bucket survives its stack.
      autoDeleteObjects: !retainData,
    });
    pinLogicalId(this.bucket, 'FilesBucket');
    if (!retainData) this.#keepLog(environment);
    Validations.of(this.bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        'Who was given a URL, for which file, is in the log of the function that signed it; nobody reaches the bucket without. ' +
        'Access logs would need a second bucket, and be delivered late and incompletely.',
    });
  }

  /** Otherwise, Lambda would create a log group for that function that nothing deletes. */
  #keepLog(environment: FilesBucketProps): void {
    const provider = Stack.of(this).node.findChild('Custom::S3AutoDeleteObjectsCustomResourceProvider');
    const handler = provider.node.findChild('Handler');
    if (!CfnResource.isCfnResource(handler)) throw new Error(`${handler.node.path} is no CloudFormation resource.`);
    const { logGroupName } = logGroup(this, 'EmptyBucketLogs', 'EmptyBucketLogs', environment);
    handler.addPropertyOverride('LoggingConfig.LogGroup', logGroupName);
  }
}
