import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { pinLogicalId } from './logical-id.ts';

export interface FilesBucketProps {
  /** Origins whose pages may upload and download. */
  readonly allowedOrigins: readonly string[];
  /** Whether the bucket outlives its stack. */
  readonly retainData: boolean;
}

/** The files of rooms, under `rooms/<room_id>/`. Nobody reads or writes them but with a presigned URL, over TLS. */
export class FilesBucket extends Construct {
  readonly bucket: s3.Bucket;

  constructor(scope: Construct, id: string, { allowedOrigins, retainData }: FilesBucketProps) {
    super(scope, id);
    const { PUT, GET, HEAD } = s3.HttpMethods;
    this.bucket = new s3.Bucket(this, 'Bucket', {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      encryption: s3.BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      // S3 takes no rule without an origin.
      cors:
        allowedOrigins.length === 0
          ? []
          : [
              {
                allowedOrigins: [...allowedOrigins],
                allowedMethods: [PUT, GET, HEAD],
                allowedHeaders: ['content-type'],
                exposedHeaders: ['ETag'],
                maxAge: 3_600,
              },
            ],
      lifecycleRules: [{ id: 'abort-unfinished-uploads', abortIncompleteMultipartUploadAfter: Duration.days(1) }],
      removalPolicy: retainData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    pinLogicalId(this.bucket, 'FilesBucket');
    Validations.of(this.bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        'Who was given a URL, for which file, is in the log of the function that signed it; nobody reaches the bucket without. ' +
        'Access logs would need a second bucket, and be delivered late and incompletely.',
    });
  }
}
