import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { at, countByType, onlyOne, synthesize } from './synthesize.ts';

const dev = synthesize('dev', { allowedOrigins: ['https://a.example', 'https://b.example'] });
const prod = synthesize('prod');

describe('the data stack', () => {
  const held = {
    'AWS::DynamoDB::Table': 1,
    'AWS::S3::Bucket': 1,
    'AWS::S3::BucketPolicy': 1,
    'AWS::Scheduler::ScheduleGroup': 1,
  };

  test('contains only a table, a bucket with its policy, and a schedule group', () => {
    expect(countByType(prod.data)).toEqual(held);
  });

  test('also contains the function that empties the bucket, if the stack can be deleted', () => {
    expect(countByType(dev.data)).toEqual({
      ...held,
      'Custom::S3AutoDeleteObjects': 1,
      'AWS::Lambda::Function': 1,
      'AWS::IAM::Role': 1,
      'AWS::Logs::LogGroup': 1,
    });
    // The log group belongs to the stack. Lambda would create one that is never deleted.
    dev.data.hasResource('AWS::Logs::LogGroup', { DeletionPolicy: 'Delete', Properties: { RetentionInDays: 7 } });
    dev.data.hasResourceProperties('AWS::Lambda::Function', {
      LoggingConfig: { LogGroup: { Ref: 'EmptyBucketLogs' } },
    });
  });

  test('outputs the names of the table and the bucket', () => {
    dev.data.hasOutput('TableName', { Value: { Ref: 'RoomsTable' } });
    dev.data.hasOutput('BucketName', { Value: { Ref: 'FilesBucket' } });
  });

  test('keeps the logical IDs of resources with data, even if constructs are renamed', () => {
    for (const { data } of [dev, prod]) {
      expect(Object.keys(data.findResources('AWS::DynamoDB::Table'))).toEqual(['RoomsTable']);
      expect(Object.keys(data.findResources('AWS::S3::Bucket'))).toEqual(['FilesBucket']);
    }
  });

  test('retains the data of prod, and not that of dev', () => {
    for (const type of ['AWS::DynamoDB::Table', 'AWS::S3::Bucket']) {
      prod.data.hasResource(type, { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
      dev.data.hasResource(type, { DeletionPolicy: 'Delete', UpdateReplacePolicy: 'Delete' });
    }
    prod.data.hasResourceProperties('AWS::DynamoDB::Table', { DeletionProtectionEnabled: true });
    dev.data.hasResourceProperties('AWS::DynamoDB::Table', { DeletionProtectionEnabled: false });
    expect([prod.protected, dev.protected]).toEqual([Array(4).fill(true), Array(4).fill(false)]);
  });
});

describe('the table', () => {
  test('is on demand, recoverable to any second, and streamed, and deletes expired items', () => {
    dev.data.hasResourceProperties('AWS::DynamoDB::Table', {
      BillingMode: 'PAY_PER_REQUEST',
      ProvisionedThroughput: Match.absent(),
      KeySchema: [
        { AttributeName: 'PK', KeyType: 'HASH' },
        { AttributeName: 'SK', KeyType: 'RANGE' },
      ],
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
      TimeToLiveSpecification: { AttributeName: 'expires_at', Enabled: true },
    });
  });

  test('has one index, by user, with only the attributes for a list of rooms', () => {
    dev.data.hasResourceProperties('AWS::DynamoDB::Table', {
      AttributeDefinitions: ['PK', 'SK', 'GSI1PK', 'GSI1SK'].map((AttributeName) => ({
        AttributeName,
        AttributeType: 'S',
      })),
      GlobalSecondaryIndexes: [
        {
          IndexName: 'GSI1',
          KeySchema: [
            { AttributeName: 'GSI1PK', KeyType: 'HASH' },
            { AttributeName: 'GSI1SK', KeyType: 'RANGE' },
          ],
          Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['username', 'archive_room'] },
        },
      ],
      LocalSecondaryIndexes: Match.absent(),
    });
  });
});

describe('the bucket', () => {
  test("is private, encrypted, and enforces the bucket owner's ownership of objects", () => {
    dev.data.hasResourceProperties('AWS::S3::Bucket', {
      AccessControl: Match.absent(),
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
      },
      OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
    });
  });

  test('rejects requests without TLS, and its policy grants no access', () => {
    prod.data.hasResourceProperties('AWS::S3::BucketPolicy', {
      Bucket: { Ref: 'FilesBucket' },
      PolicyDocument: {
        Statement: [
          {
            Effect: 'Deny',
            Action: 's3:*',
            Principal: { AWS: '*' },
            Condition: { Bool: { 'aws:SecureTransport': 'false' } },
            Resource: [
              { 'Fn::GetAtt': ['FilesBucket', 'Arn'] },
              { 'Fn::Join': ['', [{ 'Fn::GetAtt': ['FilesBucket', 'Arn'] }, '/*']] },
            ],
          },
        ],
      },
    });
  });

  test('can be emptied only by the function for that, if it can be deleted', () => {
    const [, allowed, ...more] = Object(
      at(onlyOne(dev.data, 'AWS::S3::BucketPolicy').properties, 'PolicyDocument', 'Statement'),
    );
    expect(more).toEqual([]);
    expect(allowed).toMatchObject({
      Effect: 'Allow',
      Action: ['s3:DeleteObject*', 's3:GetBucket*', 's3:List*', 's3:PutBucketPolicy'],
      Principal: { AWS: { 'Fn::GetAtt': [onlyOne(dev.data, 'AWS::IAM::Role').id, 'Arn'] } },
    });
  });

  test('allows uploads and downloads from pages of the allowed origins', () => {
    dev.data.hasResourceProperties('AWS::S3::Bucket', {
      CorsConfiguration: {
        CorsRules: [
          {
            AllowedOrigins: ['https://a.example', 'https://b.example'],
            AllowedMethods: ['PUT', 'GET', 'HEAD'],
            AllowedHeaders: ['content-type', 'if-none-match'],
            ExposedHeaders: ['ETag'],
            MaxAge: 3600,
          },
        ],
      },
    });
  });

  test('deletes unfinished uploads', () => {
    dev.data.hasResourceProperties('AWS::S3::Bucket', {
      LifecycleConfiguration: {
        Rules: Match.arrayWith([
          Match.objectLike({ AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 }, Status: 'Enabled' }),
        ]),
      },
    });
  });

  test.each([
    ['dev', 1],
    ['prod', 35],
  ] as const)('keeps deleted objects in %s for %i days: as long as the table can be restored', (name, days) => {
    const { data } = name === 'dev' ? dev : prod;
    data.hasResourceProperties('AWS::S3::Bucket', {
      VersioningConfiguration: { Status: 'Enabled' },
      LifecycleConfiguration: {
        Rules: Match.arrayWith([
          {
            Id: 'delete-old-versions',
            NoncurrentVersionExpiration: { NoncurrentDays: days },
            ExpiredObjectDeleteMarker: true,
            Status: 'Enabled',
          },
        ]),
      },
    });
  });
});
