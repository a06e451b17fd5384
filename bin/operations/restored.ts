import { CloudFormationClient, GetTemplateCommand } from '@aws-sdk/client-cloudformation';
import {
  DescribeContinuousBackupsCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  type DynamoDBClient,
  ListTagsOfResourceCommand,
  ResourceNotFoundException,
  type TableDescription,
  TagResourceCommand,
  UpdateContinuousBackupsCommand,
  UpdateTableCommand,
  type UpdateTableCommandInput,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb';
import {
  type CORSRule,
  GetBucketCorsCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  type LifecycleRule,
  PutBucketCorsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import * as v from 'valibot';
import { statusOf } from '../../core/platform/status-of.ts';
import { UsageError } from '../../tools/cli/usage-error.ts';

/*
 * Checks and adds settings of a restored table and a restored bucket. AWS restores the data, but not the stream, time
 * to live, backups, protection, tags, rules and policies. The deployed template of the data stack defines the expected
 * settings.
 */

/** A setting of a table or bucket. */
export interface Setting {
  readonly name: string;
  /** Returns whether the setting is correct. */
  readonly isRight: () => Promise<boolean>;
  /** Corrects the setting. Undefined if only another restore can correct it. */
  readonly apply?: () => Promise<unknown>;
}

const attribute = v.object({ AttributeName: v.string(), KeyType: v.string() });
const tableTemplate = v.object({
  KeySchema: v.array(attribute),
  GlobalSecondaryIndexes: v.array(v.object({ IndexName: v.string() })),
  StreamSpecification: v.object({ StreamViewType: v.picklist(['NEW_AND_OLD_IMAGES']) }),
  TimeToLiveSpecification: v.object({ AttributeName: v.string() }),
  DeletionProtectionEnabled: v.optional(v.boolean(), false),
  Tags: v.optional(v.array(v.object({ Key: v.string(), Value: v.string() })), []),
});
const strings = v.array(v.string());
const corsTemplate = v.object({
  AllowedOrigins: strings,
  AllowedMethods: strings,
  AllowedHeaders: v.optional(strings, []),
  ExposedHeaders: v.optional(strings, []),
  MaxAge: v.optional(v.number()),
});
const ruleTemplate = v.object({
  Id: v.string(),
  AbortIncompleteMultipartUpload: v.optional(v.object({ DaysAfterInitiation: v.number() })),
  NoncurrentVersionExpiration: v.optional(v.object({ NoncurrentDays: v.number() })),
  ExpiredObjectDeleteMarker: v.optional(v.boolean()),
});
const bucketTemplate = v.object({
  CorsConfiguration: v.optional(v.object({ CorsRules: v.array(corsTemplate) })),
  LifecycleConfiguration: v.object({ Rules: v.array(ruleTemplate) }),
});
const dataTemplate = v.object({
  Resources: v.object({
    RoomsTable: v.object({ Properties: tableTemplate }),
    FilesBucket: v.object({ Properties: bucketTemplate }),
  }),
});

export interface ExpectedSettings {
  readonly table: v.InferOutput<typeof tableTemplate>;
  readonly bucket: v.InferOutput<typeof bucketTemplate>;
}

/** Returns the expected settings of the table and the bucket from the deployed template of the data stack. */
export async function expectedSettings(stack: string): Promise<ExpectedSettings> {
  const { TemplateBody = '' } = await new CloudFormationClient().send(new GetTemplateCommand({ StackName: stack }));
  const { Resources } = v.parse(dataTemplate, JSON.parse(TemplateBody));
  return { table: Resources.RoomsTable.Properties, bucket: Resources.FilesBucket.Properties };
}

/** Interval in milliseconds and number of polls while a table is being updated. */
const POLL_MS = 2_000;
const POLLS = 300;

/** A restored table. */
export class RestoredTable {
  readonly #client: DynamoDBClient;
  readonly #name: string;

  constructor(client: DynamoDBClient, name: string) {
    this.#client = client;
    this.#name = name;
  }

  async describe(): Promise<TableDescription> {
    try {
      const { Table } = await this.#client.send(new DescribeTableCommand({ TableName: this.#name }));
      return Table ?? {};
    } catch (error) {
      if (!(error instanceof ResourceNotFoundException)) throw error;
      throw new UsageError(`There is no table ${this.#name} in this account and region.`);
    }
  }

  /** Updates the table. DynamoDB accepts one update at a time. */
  async #update(input: Omit<UpdateTableCommandInput, 'TableName'>): Promise<void> {
    await this.#client.send(new UpdateTableCommand({ TableName: this.#name, ...input }));
    for (let poll = 1; (await this.describe()).TableStatus !== 'ACTIVE'; poll++) {
      if (poll === POLLS)
        throw new Error(`The table ${this.#name} is not active after ${(POLLS * POLL_MS) / 1_000} s.`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  settings({ table }: ExpectedSettings): Setting[] {
    const TableName = this.#name;
    const client = this.#client;
    const keysOf = (keys: readonly { AttributeName?: string | undefined; KeyType?: string | undefined }[] = []) =>
      keys.map(({ AttributeName, KeyType }) => `${AttributeName} ${KeyType}`).join();
    const indexes = table.GlobalSecondaryIndexes.map(({ IndexName }) => IndexName);
    const arn = async (): Promise<string> => (await this.describe()).TableArn ?? '';
    return [
      {
        name: 'restored, with its keys and index',
        isRight: async () => {
          const { TableStatus, KeySchema, GlobalSecondaryIndexes = [] } = await this.describe();
          const active = GlobalSecondaryIndexes.filter(({ IndexStatus = 'ACTIVE' }) => IndexStatus === 'ACTIVE');
          return (
            TableStatus === 'ACTIVE' &&
            keysOf(KeySchema) === keysOf(table.KeySchema) &&
            indexes.every((index) => active.some(({ IndexName }) => IndexName === index))
          );
        },
      },
      {
        name: 'on-demand capacity',
        isRight: async () => (await this.describe()).BillingModeSummary?.BillingMode === 'PAY_PER_REQUEST',
        apply: () => this.#update({ BillingMode: 'PAY_PER_REQUEST' }),
      },
      {
        name: 'stream',
        isRight: async () => {
          const { StreamSpecification: stream } = await this.describe();
          return stream?.StreamEnabled === true && stream.StreamViewType === table.StreamSpecification.StreamViewType;
        },
        apply: () => this.#update({ StreamSpecification: { StreamEnabled: true, ...table.StreamSpecification } }),
      },
      {
        name: 'time to live',
        isRight: async () => {
          const { TimeToLiveDescription: found } = await client.send(new DescribeTimeToLiveCommand({ TableName }));
          const { AttributeName } = table.TimeToLiveSpecification;
          return /^ENABL/.test(found?.TimeToLiveStatus ?? '') && found?.AttributeName === AttributeName;
        },
        apply: () =>
          client.send(
            new UpdateTimeToLiveCommand({
              TableName,
              TimeToLiveSpecification: { ...table.TimeToLiveSpecification, Enabled: true },
            }),
          ),
      },
      {
        name: 'point-in-time recovery',
        isRight: async () => {
          const found = await client.send(new DescribeContinuousBackupsCommand({ TableName }));
          const { PointInTimeRecoveryDescription: recovery } = found.ContinuousBackupsDescription ?? {};
          return recovery?.PointInTimeRecoveryStatus === 'ENABLED';
        },
        apply: () =>
          client.send(
            new UpdateContinuousBackupsCommand({
              TableName,
              PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
            }),
          ),
      },
      {
        name: 'deletion protection',
        isRight: async () =>
          !table.DeletionProtectionEnabled || (await this.describe()).DeletionProtectionEnabled === true,
        apply: () => this.#update({ DeletionProtectionEnabled: true }),
      },
      {
        name: 'tags',
        isRight: async () => {
          const { Tags = [] } = await client.send(new ListTagsOfResourceCommand({ ResourceArn: await arn() }));
          return table.Tags.every(({ Key, Value }) => Tags.some((tag) => tag.Key === Key && tag.Value === Value));
        },
        apply: async () => client.send(new TagResourceCommand({ ResourceArn: await arn(), Tags: table.Tags })),
      },
    ];
  }
}

/** Returns the response to a request, or undefined if the bucket has no such setting. */
async function unlessAbsent<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (statusOf(error) === 404 && !(error instanceof Error && error.name === 'NoSuchBucket')) return undefined;
    throw error;
  }
}

const ALL_BLOCKED = {
  BlockPublicAcls: true,
  BlockPublicPolicy: true,
  IgnorePublicAcls: true,
  RestrictPublicBuckets: true,
};

/** Returns a policy that denies requests without TLS, like that of the stack's bucket. */
const tlsPolicy = (bucket: string, partition: string): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Deny',
        Action: 's3:*',
        Principal: { AWS: '*' },
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        Resource: [`arn:${partition}:s3:::${bucket}`, `arn:${partition}:s3:::${bucket}/*`],
      },
    ],
  });

const sorted = (values: readonly string[] = []): string => [...values].sort().join();

/** Returns the settings of a restored bucket. S3 encrypts every bucket and disables ACLs by default. */
export function bucketSettings(
  s3: S3Client,
  Bucket: string,
  partition: string,
  { bucket }: ExpectedSettings,
): Setting[] {
  const cors = (bucket.CorsConfiguration?.CorsRules ?? []).map(
    ({ ExposedHeaders, MaxAge, ...rule }): CORSRule => ({
      ...rule,
      ExposeHeaders: ExposedHeaders,
      MaxAgeSeconds: MaxAge,
    }),
  );
  const corsText = (rules: readonly CORSRule[] = []) =>
    rules.map((rule) =>
      [rule.AllowedOrigins, rule.AllowedMethods, rule.AllowedHeaders, rule.ExposeHeaders].map(sorted).join(';'),
    );
  const rules = bucket.LifecycleConfiguration.Rules.map(
    ({ Id, ExpiredObjectDeleteMarker, ...rule }): LifecycleRule => ({
      ID: Id,
      Status: 'Enabled',
      Filter: { Prefix: '' },
      ...rule,
      ...(ExpiredObjectDeleteMarker && { Expiration: { ExpiredObjectDeleteMarker } }),
    }),
  );
  return [
    {
      name: 'public access blocked',
      isRight: async () => {
        const found = await unlessAbsent(s3.send(new GetPublicAccessBlockCommand({ Bucket })));
        return Object.values({ ...found?.PublicAccessBlockConfiguration }).filter(Boolean).length === 4;
      },
      apply: () => s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: ALL_BLOCKED })),
    },
    {
      name: 'policy that requires TLS',
      isRight: async () => {
        const found = await unlessAbsent(s3.send(new GetBucketPolicyCommand({ Bucket })));
        return found?.Policy?.includes('aws:SecureTransport') ?? false;
      },
      apply: () => s3.send(new PutBucketPolicyCommand({ Bucket, Policy: tlsPolicy(Bucket, partition) })),
    },
    {
      name: 'versions',
      isRight: async () => (await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status === 'Enabled',
      apply: () => s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } })),
    },
    {
      name: 'lifecycle rules',
      isRight: async () => {
        const found = await unlessAbsent(s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket })));
        return rules.every(({ ID }) => found?.Rules?.some((rule) => rule.ID === ID && rule.Status === 'Enabled'));
      },
      apply: () =>
        s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: rules } })),
    },
    ...(cors.length > 0
      ? [
          {
            name: 'CORS rules',
            isRight: async () => {
              const found = await unlessAbsent(s3.send(new GetBucketCorsCommand({ Bucket })));
              return sorted(corsText(found?.CORSRules)) === sorted(corsText(cors));
            },
            apply: () => s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules: cors } })),
          },
        ]
      : []),
  ];
}
