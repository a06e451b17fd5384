import { Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { IConstruct } from 'constructs';
import type { Access, Partition, TableAccess } from '../../core/contract/route.ts';
import type { DataStack } from '../data-stack.ts';

/** A permission of a role. */
export interface Permission {
  /** Actions such as `dynamodb:GetItem`, without wildcards. */
  readonly actions: readonly string[];
  /** One or more ARNs. */
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, string | string[]>>>>;
  /** The reason for a wildcard in a resource. */
  readonly wildcard?: string;
}

/**
 * Returns the condition that limits actions to these partitions. DynamoDB compares the partition key of every item of
 * a request, also in transactions and batches. In a query of the index, it compares the index's partition key.
 * `ForAllValues` also holds without any key, but all actions here have one. DynamoDB Local ignores policies:
 * test/support/trace.ts checks in every test that functions stay within theirs, and test/deploy enforces them.
 */
const within = (partitions: readonly Partition[]) => ({
  conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': partitions.map((each) => `${each}#*`) } },
});

/**
 * Groups the actions with the same partitions. Each action is in one statement with all its partitions, because IAM checks the
 * items of a batch, and the items of a transaction with the same action, against one statement.
 */
function byPartitions(table: TableAccess): { actions: string[]; partitions: readonly Partition[] }[] {
  const groups = Map.groupBy(Object.entries(table), ([, partitions]) => partitions.join());
  return [...groups.values()].map((group) => ({
    actions: group.map(([action]) => action),
    partitions: group[0]?.[1] ?? [],
  }));
}

/** Returns the permissions for an `access` of the contract. */
export const accessTo = (data: DataStack, { table, index, bucket }: Access): Permission[] => [
  ...byPartitions(table).map(({ actions, partitions }) => ({
    actions: actions.map((action) => `dynamodb:${action}`),
    resources: [data.table.tableArn],
    ...within(partitions),
  })),
  ...(index ? [{ actions: ['dynamodb:Query'], resources: [data.indexArn], ...within(index) }] : []),
  ...(bucket
    ? [
        {
          actions: bucket.map((action) => `s3:${action}`),
          resources: [data.bucket.arnForObjects('rooms/*')],
          wildcard: 'The names contain IDs of rooms and files, which are not known at deployment.',
        },
      ]
    : []),
];

/** Returns a policy that allows only this permission. */
export const policy = (permissions: readonly Permission[]): iam.PolicyDocument =>
  new iam.PolicyDocument({
    statements: permissions.map(
      ({ actions, resources, conditions }) =>
        new iam.PolicyStatement({
          actions: [...actions],
          resources: [...resources],
          ...(conditions && { conditions }),
        }),
    ),
  });

/**
 * Acknowledges the wildcards in the permissions of a role: cdk-nag reports each, and accepts only a reason for
 * exactly that one.
 */
export function acknowledgeWildcards(role: IConstruct, permissions: readonly Permission[]): void {
  for (const { resources, wildcard } of permissions)
    for (const resource of resources) {
      const text = flat(Stack.of(role).resolve(resource));
      if (wildcard !== undefined && text.includes('*'))
        Validations.of(role).acknowledge({ id: `AwsSolutions-IAM5[Resource::${text}]`, reason: wildcard });
    }
}

/** Returns an ARN in the format of cdk-nag: `<LogicalId.Arn>/rooms/*`. */
function flat(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if ('Ref' in value) return `<${value.Ref}>`;
  if ('Fn::GetAtt' in value && Array.isArray(value['Fn::GetAtt'])) return `<${value['Fn::GetAtt'].join('.')}>`;
  if ('Fn::Join' in value && Array.isArray(value['Fn::Join']) && Array.isArray(value['Fn::Join'][1]))
    return value['Fn::Join'][1].map(flat).join('');
  return JSON.stringify(value);
}
