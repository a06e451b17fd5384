import { roomPool } from '../../core/realtime/deliver.ts';
import { REQUESTS_AT_ONCE } from '../../core/realtime/gateway.ts';

/*
 * Places in the pool of requests to the gateway. A test that is about many connections, and not about many at a time, leaves only a few
 * free: so a busy machine answers well within the time-outs, which stay those of production.
 */

/** Work that has taken places in the pool. */
export interface Occupied {
  /** How many places it has. */
  count(): number;
  /** Frees them. */
  free(): Promise<void>;
}

/** Takes places in the pool, `each` for as many rooms, as far as there are any. */
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

/** Makes all places that a process has once it has been at work for a while: it starts with fewer. */
export async function makeAllPlaces(): Promise<void> {
  const run = roomPool();
  for (let n = 0; n < REQUESTS_AT_ONCE; n++) await run(async () => undefined);
}

/** Leaves only so many places for all that follows. */
export async function leavePlaces(count: number): Promise<Occupied> {
  await makeAllPlaces();
  return occupy(4, (REQUESTS_AT_ONCE - count) / 4);
}
