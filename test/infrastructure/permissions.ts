import type { Template } from 'aws-cdk-lib/assertions';
import { expect } from 'vitest';
import { at, ofType, synthesize, withImports } from './synthesize.ts';

/** One permission of a role. */
export type Allowed = readonly [action: string, resource: unknown, condition?: unknown];

/**
 * The permissions of a role, one per action and resource. Resources of the data stack have the names that they have
 * there.
 */
export function permissions(role: unknown, data: Template): Allowed[] {
  return list(at(role, 'Policies'))
    .flatMap((policy) => list(at(policy, 'PolicyDocument', 'Statement')))
    .flatMap((statement) => {
      const { Effect, Action, Resource, Condition, ...rest } = Object(statement);
      expect(rest).toEqual({});
      expect(Effect).toBe('Allow');
      return list(Action).flatMap((action) =>
        list(Resource).map((resource): Allowed => {
          const found = withImports(resource, data);
          return Condition === undefined ? [String(action), found] : [String(action), found, Condition];
        }),
      );
    });
}

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

/** Sorts values, to compare lists regardless of their order. */
export const sorted = (values: readonly unknown[]): string[] => values.map((value) => JSON.stringify(value)).sort();

/** The IAM condition that limits a permission to some kinds of partitions. */
export const within = (partitions: readonly string[]) => ({
  'ForAllValues:StringLike': {
    'dynamodb:LeadingKeys': partitions.map((each) => `${each}#*`),
  },
});

/** The permissions with which Lambda sends traces. */
export const tracing: readonly Allowed[] = ['PutTraceSegments', 'PutTelemetryRecords'].map((each) => [
  `xray:${each}`,
  '*',
]);

/** Actions for which Lambda itself uses a function's role. */
const LAMBDA: ReadonlySet<string> = new Set([
  'logs:CreateLogStream',
  'logs:PutLogEvents',
  'xray:PutTraceSegments',
  'xray:PutTelemetryRecords',
  'dynamodb:DescribeStream',
  'dynamodb:GetRecords',
  'dynamodb:GetShardIterator',
  'dynamodb:ListStreams',
  'sqs:ReceiveMessage',
  'sqs:DeleteMessage',
  'sqs:GetQueueAttributes',
]);

/** A permission in the format of test/support/trace.ts. Empty for actions of Lambda itself. */
function inWords([action, resource, condition]: Allowed): string[] {
  const text = JSON.stringify(resource);
  // Lambda writes the dead letters of a function.
  if (LAMBDA.has(action) || (action === 'sqs:SendMessage' && text.includes('DeadLetters'))) return [];
  if (action === 'execute-api:ManageConnections') return [`${action} ${/\/v1\/(\w+)\//.exec(text)?.[1]}`];
  if (!action.startsWith('dynamodb:')) return [action];
  const keys = list(at(condition, 'ForAllValues:StringLike', 'dynamodb:LeadingKeys'));
  return keys.map((key) => `${action} ${text.includes('index/GSI1') ? 'index ' : ''}${String(key).replace('#*', '')}`);
}

/** The permissions of each deployed function, by its name and in the format of test/support/trace.ts. */
export function deployedPermissions(): ReadonlyMap<string, ReadonlySet<string>> {
  const { data, http, realtime, codeOf } = synthesize('prod');
  return new Map(
    [http, realtime].flatMap((template) => {
      const roles = ofType(template, 'AWS::IAM::Role');
      return [...ofType(template, 'AWS::Lambda::Function').values()].map((fn): [string, ReadonlySet<string>] => {
        const role = roles.get(String(at(fn, 'Role', 'Fn::GetAtt', 0)));
        return [codeOf(fn), new Set(permissions(role, data).flatMap(inWords))];
      });
    }),
  );
}
