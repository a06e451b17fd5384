import { randomUUID } from 'node:crypto';
import * as v from 'valibot';
import type { SubProtocol } from '../../core/contract/sub-protocols.ts';
import { say } from '../common/command.ts';
import { ascending, quantile } from '../common/numbers.ts';
import { message } from './processes.ts';
import { isSuccess, type Readers, recordOf, withReaders } from './readers.ts';

/*
 * One batch of stream records with messages in many rooms. Runs the deployed bundle of deliver-messages with its CPU
 * share and limits on Lambda, and with TLS to the gateway. Measures connections of each protocol version.
 */

export interface BatchSettings {
  readonly batches: readonly Batch[];
  /** Each batch is measured once per protocol version. */
  readonly protocols: readonly SubProtocol[];
  /** The gateway's response time, in milliseconds. */
  readonly latency: number;
  /** The number of vCPUs of the function. */
  readonly processors: number;
  /** The path of the bundle. Default: the bundle of this checkout. */
  readonly file?: string;
}

export interface Batch {
  readonly rooms: number;
  /** Connections per room. */
  readonly connections: number;
  /** Messages per room. */
  readonly messages: number;
}

export interface BatchLine extends Batch {
  readonly protocol: SubProtocol;
  readonly posts: number;
  /** Milliseconds from the start until 99 % of the connections had received everything. */
  readonly p99: number;
  /** Connections that received all messages once. */
  readonly delivered: number;
  /** Connections that received some messages twice. */
  readonly twice: number;
  /** Connections that missed messages and were closed. */
  readonly closed: number;
  /** Connections that missed messages and are marked in the table. They receive nothing more, and are closed later. */
  readonly marked: number;
  /** Connections that missed messages without being closed or marked. With rooms.v2, the next frame reveals the gap. */
  readonly lost: number;
  /** Whether the function reported success. */
  readonly ok: boolean;
  /** The maximum number of simultaneous requests to the gateway. */
  readonly peak: number;
  readonly ms: number;
  /** CPU time in milliseconds. */
  readonly cpu: number;
  /** Whether the CPU quota was applied. It requires control groups and the permission to create one. */
  readonly quota: boolean;
}

const report = v.object({
  connections: v.array(v.tuple([v.string(), v.number(), v.number()])),
  posts: v.number(),
  closed: v.array(v.string()),
  peak: v.number(),
});

export async function measureBatches({
  batches,
  protocols,
  latency,
  processors,
  file,
}: BatchSettings): Promise<BatchLine[]> {
  return withReaders({ latency, processors, file }, async (readers) => {
    const lines: BatchLine[] = [];
    for (const batch of batches)
      for (const protocol of protocols) {
        say(`${protocol}: ${batch.rooms} rooms of ${batch.connections}, ${batch.messages} messages each …`);
        lines.push(await measureBatch(batch, protocol, readers));
      }
    return lines;
  });
}

/**
 * Measures the first invocation of a new environment, which is the slowest, because it has no open socket to the
 * gateway.
 */
async function measureBatch(
  batch: Batch,
  protocol: SubProtocol,
  { gateway, startReader, hasQuota }: Readers,
): Promise<BatchLine> {
  const { haveJoined } = await import('../../test/fixtures/write-items.ts');
  const ids = new Set<string>();
  const rooms = Array.from({ length: batch.rooms }, () => randomUUID());
  for (const room_id of rooms) {
    const own = Array.from({ length: batch.connections }, () => `${randomUUID().replaceAll('-', '').slice(0, 15)}=`);
    for (const id of own) ids.add(id);
    await haveJoined(room_id, own, undefined, { protocol });
  }
  const reader = await startReader();
  try {
    // In the stream, messages of several busy rooms alternate.
    const Records = Array.from({ length: batch.messages }, () => rooms.map(recordOf)).flat();
    const { result, began, ms, cpu } = await reader.read(Records);
    gateway.send('report');
    const { connections, posts, closed, peak } = await message(gateway, report);
    const had = new Map(connections.map(([id, events]) => [id, events]));
    const left = [...ids].filter((id) => (had.get(id) ?? 0) < batch.messages);
    const gone = left.filter((id) => closed.includes(id));
    const { connectionsOf } = await import('../../core/store/connections.ts');
    const rests = await Promise.all(rooms.map((room_id) => connectionsOf(room_id)));
    const marked = new Set(rests.flatMap(({ disconnecting }) => disconnecting.map((each) => each.connection_id)));
    return {
      ...batch,
      protocol,
      posts,
      p99: quantile(ascending(connections.map(([, , last]) => last - began)), 0.99),
      delivered: [...ids].filter((id) => had.get(id) === batch.messages).length,
      twice: connections.filter(([, events]) => events > batch.messages).length,
      closed: gone.length,
      marked: left.filter((id) => marked.has(id)).length,
      lost: left.filter((id) => !closed.includes(id) && !marked.has(id)).length,
      ok: isSuccess(result),
      peak,
      ms,
      cpu,
      quota: hasQuota,
    };
  } finally {
    reader.close();
  }
}
