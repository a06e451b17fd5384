import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { monotonicFactory } from 'ulid';
import * as v from 'valibot';
import type { SubProtocol } from '../../core/contract/sub-protocols.ts';
import { messageKey } from '../../core/store/keys.ts';
import { bundle, folderOf } from '../../lib/bundle.ts';
import { allEntries } from '../../lib/entries.ts';
import { say } from '../common/command.ts';
import { type CpuShare, cpuShare } from '../common/cpu-share.ts';
import { ascending, quantile } from '../common/numbers.ts';
import { withTable } from '../common/world.ts';
import { message, start } from './processes.ts';

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

const READER = 'deliver-messages';
/** The function's time-out on Lambda, from lib/constructs/stream-reader.ts. */
const TIMEOUT_MS = 60_000;

const outcome = v.object({ result: v.unknown(), began: v.number(), ms: v.number(), cpu: v.number() });
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
  const index = file ?? join(folderOf(bundle(allEntries.filter(({ name }) => name === READER)), READER), 'index.js');
  const gateway = start('tls-gateway.ts', latency);
  const folder = mkdtempSync(join(tmpdir(), 'rooms-bench-'));
  const quota = cpuShare(processors);
  if (!quota) say('This machine or user has no control groups: the function runs without a CPU quota.');
  try {
    const { url, cert } = await message(gateway, v.object({ url: v.string(), cert: v.string() }));
    const authority = join(folder, 'cert.pem');
    writeFileSync(authority, cert);
    return await withTable(async (variables) => {
      const environment = {
        ...variables,
        CALLBACK_URL: `${url}/v1`,
        NODE_EXTRA_CA_CERTS: authority,
        AWS_ENDPOINT_URL_LAMBDA: url,
        FAN_OUT_FUNCTION_ARN: 'none',
      };
      const lines: BatchLine[] = [];
      for (const batch of batches)
        for (const protocol of protocols) {
          say(`${protocol}: ${batch.rooms} rooms of ${batch.connections}, ${batch.messages} messages each …`);
          lines.push(await measureBatch(batch, protocol, { gateway, index, environment, quota }));
        }
      return lines;
    });
  } finally {
    gateway.disconnect();
    await quota?.remove();
    rmSync(folder, { recursive: true });
  }
}

interface Parts {
  readonly gateway: ChildProcess;
  readonly index: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly quota: CpuShare | undefined;
}

/**
 * Measures the first invocation of a new environment, which is the slowest, because it has no open socket to the
 * gateway.
 */
async function measureBatch(
  batch: Batch,
  protocol: SubProtocol,
  { gateway, index, environment, quota }: Parts,
): Promise<BatchLine> {
  const { haveJoined } = await import('../../test/fixtures/write-items.ts');
  const ids = new Set<string>();
  const rooms = Array.from({ length: batch.rooms }, () => randomUUID());
  for (const room_id of rooms) {
    const own = Array.from({ length: batch.connections }, () => `${randomUUID().replaceAll('-', '').slice(0, 15)}=`);
    for (const id of own) ids.add(id);
    await haveJoined(room_id, own, undefined, { protocol });
  }
  const reader = fork(fileURLToPath(new URL('reader.ts', import.meta.url)), [index], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  try {
    await message(reader, v.object({ ready: v.literal(true) }));
    quota?.add(reader.pid);
    // In the stream, messages of several busy rooms alternate.
    const Records = Array.from({ length: batch.messages }, () => rooms.map(recordOf)).flat();
    reader.send({ event: { Records }, timeoutMs: TIMEOUT_MS });
    const { result, began, ms, cpu } = await message(reader, outcome);
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
      ok: JSON.stringify(result) === '{"batchItemFailures":[]}',
      peak,
      ms,
      cpu,
      quota: quota !== undefined,
    };
  } finally {
    reader.disconnect();
  }
}

const ulid = monotonicFactory();
/** The stream record of a message of 100 characters. */
function recordOf(room_id: string) {
  const message_id = ulid();
  const { PK, SK } = messageKey(room_id, message_id);
  const keys = { PK: { S: PK }, SK: { S: SK } };
  const fields = { room_id, message_id, sender_id: randomUUID(), client_message_id: randomUUID() };
  const texts = { ...fields, text: 'x'.repeat(100), sent_at: new Date().toISOString() };
  return {
    eventID: randomUUID(),
    eventName: 'INSERT',
    dynamodb: {
      Keys: keys,
      SequenceNumber: message_id,
      NewImage: { ...keys, ...Object.fromEntries(Object.entries(texts).map(([name, S]) => [name, { S }])) },
    },
  };
}
