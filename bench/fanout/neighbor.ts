import { randomUUID } from 'node:crypto';
import * as v from 'valibot';
import { say } from '../common/command.ts';
import { ascending, quantile } from '../common/numbers.ts';
import { message } from './processes.ts';
import { isSuccess, type Reader, type ReaderSettings, recordOf, withReaders } from './readers.ts';
import { unresponsiveId } from './unresponsive.ts';

/*
 * Measures how much later a room of two receives a message if its shard has a batch of another room just before. The
 * cases alternate, and are compared with a room without such a batch.
 */

export interface NeighborSettings extends ReaderSettings {
  readonly rounds: number;
  /** The number of connections in the large room. */
  readonly large: number;
}

/** Milliseconds from the start of the previous batch until the room's last connection has its message. */
export interface NeighborLine {
  readonly before: string;
  readonly p50: number;
  readonly p99: number;
  /**
   * The number of rounds that were discarded because a post to the room itself was slow, which means that this machine
   * was busy.
   */
  readonly skipped: number;
}

const report = v.object({ connections: v.array(v.tuple([v.string(), v.number(), v.number()])) });
/** Enough rounds to open sockets, compile code, and move the large room to its lane. */
const WARM_UP = 40;
const newId = (): string => `${randomUUID().replaceAll('-', '').slice(0, 15)}=`;

export function measureNeighbor({ rounds, large, ...settings }: NeighborSettings): Promise<NeighborLine[]> {
  return withReaders(settings, async (readers) => {
    const { haveJoined } = await import('../../test/fixtures/write-items.ts');
    const { roomSequenceKey } = await import('../../core/store/keys.ts');
    const { remove } = await import('../../core/store/write.ts');
    const roomOf = async (ids: readonly string[], protocol: 'rooms.v1' | 'rooms.v2' = 'rooms.v2') => {
      const room_id = randomUUID();
      await haveJoined(room_id, ids, undefined, { protocol });
      return room_id;
    };
    say(`Writing ${large} connections …`);
    const neighbor = [newId(), newId()];
    const [own, small, crowd] = [
      await roomOf(neighbor),
      await roomOf([newId(), newId()]),
      await roomOf(Array.from({ length: large }, newId)),
    ];
    // Each round needs a new room, because the room is in its lane afterwards.
    const withDead = (protocol: 'rooms.v1' | 'rooms.v2') => roomOf([newId(), unresponsiveId(newId())], protocol);
    const cases: readonly [before: string, room: () => Promise<string | undefined>][] = [
      ['nothing', async () => undefined],
      ['a room of 2', async () => small],
      [`a room of ${large}`, async () => crowd],
      ['a room with a dead connection (rooms.v1)', () => withDead('rooms.v1')],
      ['a room with a dead connection (rooms.v2)', () => withDead('rooms.v2')],
    ];
    const reader = await readers.startReader();
    try {
      for (let n = 0; n < WARM_UP; n++) await read(reader, n === 0 ? crowd : own);
      const times = new Map(cases.map(([before]) => [before, [] as number[]]));
      for (let round = 1; round <= rounds; round++) {
        say(`Round ${round} of ${rounds} …`);
        for (const [before, room] of cases) times.get(before)?.push(...(await delay(await room())));
      }
      return [...times].map(([before, all]) => ({
        before,
        p50: quantile(ascending(all), 0.5),
        p99: quantile(ascending(all), 0.99),
        skipped: rounds - all.length,
      }));
    } finally {
      reader.close();
    }

    async function delay(before: string | undefined): Promise<number[]> {
      // No function processes the lanes here.
      for (const room_id of [own, small]) await remove(roomSequenceKey(room_id));
      const began = Date.now();
      if (before !== undefined) await read(reader, before);
      await read(reader, own);
      readers.gateway.send('report');
      const { connections } = await message(readers.gateway, report);
      const times = connections.flatMap(([id, , last]) => (neighbor.includes(id) ? [last - began] : []));
      return times.length === neighbor.length ? [Math.max(...times)] : [];
    }
  });
}

async function read(reader: Reader, room_id: string): Promise<void> {
  const { result } = await reader.read([recordOf(room_id)]);
  if (!isSuccess(result)) throw new Error(`The batch of room ${room_id} failed: ${JSON.stringify(result)}`);
}
