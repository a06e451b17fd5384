import * as v from 'valibot';
import { expect } from 'vitest';
import { dynamodb } from '../../core/store/client.ts';
import { CONNECTION, connectionKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import type { Management } from './management.ts';
import { departed } from './socket.ts';

/*
 * The invariant of all tests with faults: at no time is a socket open, its client believing that it has joined, while the table does
 * not know it.
 */

export interface KnownSockets {
  /** The connection has ended by itself: what is stored of it may go. One that leaves or disconnects is known to. */
  left(connection_id: string): void;
  /** Fails the test where an item was deleted while its connection was open. Forgets what has happened. */
  check(): void;
  /** Fails the test where one of the connections is open, and the table does not know it. */
  expectKnown(room_id: string, connection_ids: readonly string[]): Promise<void>;
}

const deletion = v.object({ Key: v.object({ PK: v.string(), SK: v.pipe(v.string(), v.startsWith(CONNECTION)) }) });

/** Watches, from now on, every request of this process that deletes the item of a connection. */
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
