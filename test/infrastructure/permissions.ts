import type { Template } from 'aws-cdk-lib/assertions';
import { expect } from 'vitest';
import { at, withImports } from './synthesize.ts';

/** One thing that a role may do. */
export type Allowed = readonly [action: string, resource: unknown, condition?: unknown];

/** What a role allows, one action and one resource at a time; what comes from the data stack is as it is called there. */
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

/** To compare what is in no order. */
export const sorted = (values: readonly unknown[]): string[] => values.map((value) => JSON.stringify(value)).sort();

/** The condition that holds a permission to some kinds of partitions. */
export const within = (partitions: readonly string[]) => ({
  'ForAllValues:StringLike': {
    'dynamodb:LeadingKeys': partitions.map((each) => `${each}#*`),
  },
});

/** What a function needs so that Lambda can send its traces. */
export const tracing: readonly Allowed[] = ['PutTraceSegments', 'PutTelemetryRecords'].map((each) => [
  `xray:${each}`,
  '*',
]);
