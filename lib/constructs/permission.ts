import { Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { IConstruct } from 'constructs';
import type { Access, Partition, TableAccess } from '../../core/contract/route.ts';
import type { DataStack } from '../data-stack.ts';

/** Something that a role may do. */
export interface Permission {
  /** As in `dynamodb:GetItem`, without wildcards. */
  readonly actions: readonly string[];
  /** An ARN, or several. */
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, string | string[]>>>>;
  /** Why a resource has a wildcard in it, where one has. */
  readonly wildcard?: string;
}

/**
 * Only in these partitions. DynamoDB compares the partition key of every item that a request names, of a transaction's or
 * batch's items too, and in a query of an index the index's partition key; every action that we give has such a key, so that
 * `ForAllValues`, which holds where there is none, lets nothing through. DynamoDB Local looks at no policies: that functions
 * keep to theirs is seen by test/support/trace.ts, in every test that invokes one, and by test/deploy, where they are enforced.
 */
const within = (partitions: readonly Partition[]) => ({
  conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': partitions.map((each) => `${each}#*`) } },
});

/**
 * The actions that may be done in the same partitions, together. An action is in one statement alone, with all of its partitions:
 * the items of a batch, and those of a transaction that are written alike, must all be in partitions of one statement.
 */
function byPartitions(table: TableAccess): { actions: string[]; partitions: readonly Partition[] }[] {
  const groups = Map.groupBy(Object.entries(table), ([, partitions]) => partitions.join());
  return [...groups.values()].map((group) => ({
    actions: group.map(([action]) => action),
    partitions: group[0]?.[1] ?? [],
  }));
}

/** What an `access` of the contract comes to. */
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
          wildcard:
            'Rooms and files are made while the system runs: what they are called cannot be known when it is deployed.',
        },
      ]
    : []),
];

/** The policy that allows this and nothing else. */
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

/** Tells cdk-nag why permissions of a role have wildcards: it finds each, and takes no reason but for that very one. */
export function acknowledgeWildcards(role: IConstruct, permissions: readonly Permission[]): void {
  for (const { resources, wildcard } of permissions)
    for (const resource of resources) {
      const text = flat(Stack.of(role).resolve(resource));
      if (wildcard !== undefined && text.includes('*'))
        Validations.of(role).acknowledge({ id: `AwsSolutions-IAM5[Resource::${text}]`, reason: wildcard });
    }
}

/** An ARN as cdk-nag writes it: `<LogicalId.Arn>/rooms/*`. */
function flat(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if ('Ref' in value) return `<${value.Ref}>`;
  if ('Fn::GetAtt' in value && Array.isArray(value['Fn::GetAtt'])) return `<${value['Fn::GetAtt'].join('.')}>`;
  if ('Fn::Join' in value && Array.isArray(value['Fn::Join']) && Array.isArray(value['Fn::Join'][1]))
    return value['Fn::Join'][1].map(flat).join('');
  return JSON.stringify(value);
}
