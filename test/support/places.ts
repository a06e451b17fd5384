import { roomPool } from '../../core/realtime/deliver.ts';
import { REQUESTS_AT_ONCE } from '../../core/realtime/gateway.ts';

/*
 * Occupies slots in the pool of requests to the gateway. Tests with many connections leave only a few slots free. A
 * busy machine then responds within the production time-outs.
 */

/** Work that occupies slots in the pool. */
export interface Occupied {
  /** The number of occupied slots. */
  count(): number;
  /** Frees the slots. */
  free(): Promise<void>;
}

/** Occupies up to `each` slots for each of `rooms` rooms, as far as slots are free. */
export function occupy(rooms: number, each: number): Occupied {
  const { promise, resolve } = Promise.withResolvers<void>();
  let running = 0;
  const all = Array.from({ length: rooms }, () => roomPool()).flatMap((run) =>
    Array.from({ length: each }, () =>
      run(() => {
        running++;
        return promise;
      }),
    ),
  );
  return {
    count: () => running,
    async free() {
      resolve();
      await Promise.all(all);
    },
  };
}

/** Grows the pool to its maximum, as in a process that has run for a while. */
export async function growPool(): Promise<void> {
  const run = roomPool();
  for (let n = 0; n < REQUESTS_AT_ONCE; n++) await run(async () => undefined);
}

/** Occupies all slots except `count`, until they are freed. */
export async function leaveSlots(count: number): Promise<Occupied> {
  await growPool();
  return occupy(4, (REQUESTS_AT_ONCE - count) / 4);
}
