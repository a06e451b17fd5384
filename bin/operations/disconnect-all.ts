import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { pool } from '../../core/platform/pool.ts';
import { kindOf } from '../../core/store/keys.ts';
import { type Connections, closeConnection } from './connections.ts';
import { type WalkOptions, walk } from './walk.ts';

const item = v.object({ PK: v.string(), SK: v.string(), connection_id: v.optional(v.string()) });

/** Number of connections that are closed in parallel. Limited because their clients reconnect at once. */
const AT_ONCE = 20;

/** Closes every connection in a table once, even if it has joined several rooms. */
export async function disconnectAll(
  { dynamodb, connections }: { readonly dynamodb: DynamoDBDocumentClient; readonly connections: Connections },
  table: string,
  { apply, ...options }: WalkOptions & { readonly apply: boolean },
): Promise<{ readonly found: number; readonly closed: number; readonly finished: boolean }> {
  const run = pool(AT_ONCE);
  const seen = new Set<string>();
  let closed = 0;
  const scan = { TableName: table, ProjectionExpression: 'PK, SK, connection_id' };
  for await (const page of walk(dynamodb, scan, options)) {
    const fresh = v.parse(v.array(item), page.items).flatMap(({ connection_id, ...key }) => {
      const { kind } = kindOf(key);
      if (connection_id === undefined || (kind !== 'connection' && kind !== 'subscription')) return [];
      return seen.has(connection_id) ? [] : [connection_id];
    });
    for (const connection_id of fresh) seen.add(connection_id);
    const close = (id: string) => run(() => closeConnection(connections, id));
    const outcomes = apply ? await Promise.allSettled([...new Set(fresh)].map(close)) : [];
    closed += outcomes.filter(({ status }) => status === 'fulfilled').length;
    if (options.signal.aborted && page.cursor !== undefined) return { found: seen.size, closed, finished: false };
  }
  return { found: seen.size, closed, finished: true };
}
