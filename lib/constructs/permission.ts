import * as iam from 'aws-cdk-lib/aws-iam';
import type { Access } from '../../core/contract/route.ts';
import type { DataStack } from '../data-stack.ts';

/** Something that a role may do. */
export interface Permission {
  /** As in `dynamodb:GetItem`, without wildcards. */
  readonly actions: readonly string[];
  /** An ARN, or several. */
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** What an `access` of the contract comes to. */
export const accessTo = (data: DataStack, { table, index, bucket }: Access): Permission[] => [
  { actions: table.map((action) => `dynamodb:${action}`), resources: [data.table.tableArn] },
  ...(index ? [{ actions: index.map((action) => `dynamodb:${action}`), resources: [data.indexArn] }] : []),
  ...(bucket
    ? [{ actions: bucket.map((action) => `s3:${action}`), resources: [data.bucket.arnForObjects('rooms/*')] }]
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
