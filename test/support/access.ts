import { expect } from 'vitest';
import type { Access } from '../../core/contract/route.ts';
import type { Trace } from '../fixtures/trace.ts';

/** The permissions in `access` of the contract, in the format of `Trace.used`. */
export const allowedBy = ({ table, index = [], bucket = [] }: Access): ReadonlySet<string> =>
  new Set([
    ...Object.entries(table).flatMap(([action, partitions]) =>
      partitions.map((partition) => `dynamodb:${action} ${partition}`),
    ),
    ...index.map((partition) => `dynamodb:Query index ${partition}`),
    ...bucket.map((action) => `s3:${action}`),
  ]);

/** Fails the test if a function used the table or the bucket beyond its `access`. */
export function expectWithin(name: string, access: Access, { used }: Trace): void {
  const allowed = allowedBy(access);
  const beyond = [...used].filter((each) => /^(dynamodb|s3):/.test(each) && !allowed.has(each));
  expect(beyond, `${name} may do no more than its "access" says`).toEqual([]);
}
