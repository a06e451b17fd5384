import * as v from 'valibot';
import { expect } from 'vitest';
import { dynamodb } from '../../core/store/client.ts';
import { CONNECTION, connectionKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import type { Management } from './management.ts';
import { departed } from './socket.ts';

/*
 * An invariant of all tests with failures: if a client has joined and its socket is open, the table has its connection.
 */

export interface KnownSockets {
  /** Records that the connection has left or disconnected, so that its item may be deleted. */
  left(connection_id: string): void;
  /** Fails the test if an item was deleted while its connection was open. Then clears the record. */
  check(): void;
  /** Fails the test if one of the connections is open but has no item in the table. */
  expectKnown(room_id: string, connection_ids: readonly string[]): Promise<void>;
}

const deletion = v.object({ Key: v.object({ PK: v.string(), SK: v.pipe(v.string(), v.startsWith(CONNECTION)) }) });

/** Observes every request of this process that deletes the item of a connection. */
export function watchSockets(management: () => Pick<Management, 'closed' | 'gone'>): KnownSockets {
  const left = new Set<string>();
  const violations: string[] = [];
  const isOpen = (id: string): boolean =>
    !left.has(id) && !departed.has(id) && !management().closed.includes(id) && !management().gone.has(id);
  dynamodb.middlewareStack.add(
    (next, context) => async (args) => {
      if (context.commandName === 'DeleteItemCommand' || context.commandName === 'DeleteCommand') {
        const parsed = v.safeParse(deletion, args.input);
        const id = parsed.success ? parsed.output.Key.SK.slice(CONNECTION.length) : undefined;
        if (id !== undefined && isOpen(id)) violations.push(id);
      }
      return next(args);
    },
    { step: 'initialize', name: 'known-sockets', override: true },
  );
  return {
    left: (id) => void left.add(id),
    check() {
      expect(violations.splice(0), 'connections that were open when their items were deleted').toEqual([]);
    },
    async expectKnown(room_id, connection_ids) {
      for (const id of connection_ids.filter(isOpen))
        expect(await get(connectionKey(room_id, id)), `${id} is open, and the table does not know it`).toBeDefined();
    },
  };
}
