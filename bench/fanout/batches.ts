import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { monotonicFactory } from 'ulid';
import * as v from 'valibot';
import { messageKey } from '../../core/store/keys.ts';
import { bundle, folderOf } from '../../lib/bundle.ts';
import { allEntries } from '../../lib/entries.ts';
import { say } from '../common/command.ts';
import { type CpuShare, cpuShare } from '../common/cpu-share.ts';
import { withTable } from '../common/world.ts';
import { message, start } from './processes.ts';

/*
 * One batch of the table's stream with a message in each of many rooms: the deployed bundle of deliver-messages, with the share of a
 * processor that it has on Lambda, its own limits, and TLS in front of the gateway.
 */

export interface BatchSettings {
  readonly batches: readonly Batch[];
  /** What the gateway takes for a request, in milliseconds. */
  readonly latency: number;
  /** Processors that the function has. */
  readonly processors: number;
  /** The bundle's file. Default: that of this checkout. */
  readonly file?: string;
}

export interface Batch {
  readonly rooms: number;
  /** In each of the rooms. */
  readonly connections: number;
}

export interface BatchLine extends Batch {
  /** Connections that have had their message, once. */
  readonly delivered: number;
  /** Connections that have had it more than once. */
  readonly twice: number;
  /** Connections that have not had it, and were closed. */
  readonly closed: number;
  /** Connections that have not had it, and are marked in the table: no message follows, and they are closed later. */
  readonly marked: number;
  /** Connections that have not had it, and do not know. */
  readonly lost: number;
  /** Whether the function reported success. */
  readonly ok: boolean;
  /** Requests to the gateway that were under way at the same time, at most. */
  readonly peak: number;
  readonly ms: number;
  /** Milliseconds of a processor. */
  readonly cpu: number;
  /** Whether there was a quota: not every machine, and not every user, can make one. */
  readonly quota: boolean;
}

const READER = 'deliver-messages';
/** The function's time-out on Lambda: lib/constructs/stream-reader.ts. */
const TIMEOUT_MS = 60_000;

const outcome = v.object({ result: v.unknown(), ms: v.number(), cpu: v.number() });
const report = v.object({
  posts: v.array(v.tuple([v.string(), v.number()])),
  closed: v.array(v.string()),
  peak: v.number(),
});

export async function measureBatches({ batches, latency, processors, file }: BatchSettings): Promise<BatchLine[]> {
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
      const environment = { ...variables, CALLBACK_URL: `${url}/v1`, NODE_EXTRA_CA_CERTS: authority };
      const lines: BatchLine[] = [];
      for (const batch of batches) {
        say(`${batch.rooms} rooms of ${batch.connections} …`);
        lines.push(await measureBatch(batch, { gateway, index, environment, quota }));
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

/** The first invocation of a new environment: the dearest, for it has no socket to the gateway yet. */
async function measureBatch(batch: Batch, { gateway, index, environment, quota }: Parts): Promise<BatchLine> {
  const { haveJoined } = await import('../../test/support/fill.ts');
  const ids = new Set<string>();
  const rooms = Array.from({ length: batch.rooms }, () => randomUUID());
  for (const room_id of rooms) {
    const own = Array.from({ length: batch.connections }, () => `${randomUUID().replaceAll('-', '').slice(0, 15)}=`);
    for (const id of own) ids.add(id);
    await haveJoined(room_id, own);
  }
  const reader = fork(fileURLToPath(new URL('reader.ts', import.meta.url)), [index], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  try {
    await message(reader, v.object({ ready: v.literal(true) }));
    quota?.add(reader.pid);
    reader.send({ event: { Records: rooms.map(recordOf) }, timeoutMs: TIMEOUT_MS });
    const { result, ms, cpu } = await message(reader, outcome);
    gateway.send('report');
    const { posts, closed, peak } = await message(gateway, report);
    const had = new Map(posts);
    const left = [...ids].filter((id) => !had.has(id));
    const gone = left.filter((id) => closed.includes(id));
    const { connectionsOf } = await import('../../core/store/connections.ts');
    const rests = await Promise.all(rooms.map((room_id) => connectionsOf(room_id)));
    const marked = new Set(rests.flatMap(({ disconnecting }) => disconnecting.map((each) => each.connection_id)));
    return {
      ...batch,
      delivered: [...ids].filter((id) => had.get(id) === 1).length,
      twice: posts.filter(([, times]) => times > 1).length,
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
/** The stream's record of a message of 100 characters. */
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
