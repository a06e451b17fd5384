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
import { cpuShare } from '../common/cpu-share.ts';
import { withTable } from '../common/world.ts';
import { message, start } from './processes.ts';

/*
 * The deployed bundle of deliver-messages with its CPU share and limits on Lambda, and with TLS to the gateway.
 */

const NAME = 'deliver-messages';
/** The function's time-out on Lambda, from lib/constructs/stream-reader.ts. */
const TIMEOUT_MS = 60_000;

const outcome = v.object({ result: v.unknown(), began: v.number(), ms: v.number(), cpu: v.number() });

export interface ReaderSettings {
  /** The gateway's response time, in milliseconds. */
  readonly latency: number;
  /** The number of vCPUs of the function. */
  readonly processors: number;
  /** The path of the bundle. Default: the bundle of this checkout. */
  readonly file?: string | undefined;
}

type StreamRecord = ReturnType<typeof recordOf>;

/** An execution environment, which processes one batch at a time. */
export interface Reader {
  read(Records: readonly StreamRecord[]): Promise<v.InferOutput<typeof outcome>>;
  close(): void;
}

export interface Readers {
  /** See tls-gateway.ts. */
  readonly gateway: ChildProcess;
  /** Whether the CPU quota is applied. */
  readonly hasQuota: boolean;
  startReader(): Promise<Reader>;
}

/** Runs `work` with a table, which it must import dynamically, and a gateway. */
export async function withReaders<T>(
  { latency, processors, file }: ReaderSettings,
  work: (readers: Readers) => Promise<T>,
): Promise<T> {
  const index = file ?? join(folderOf(bundle(allEntries.filter(({ name }) => name === NAME)), NAME), 'index.js');
  const gateway = start('tls-gateway.ts', latency);
  const folder = mkdtempSync(join(tmpdir(), 'rooms-bench-'));
  const quota = cpuShare(processors);
  if (!quota) say('This machine or user has no control groups: the function runs without a CPU quota.');
  try {
    const { url, cert } = await message(gateway, v.object({ url: v.string(), cert: v.string() }));
    const authority = join(folder, 'cert.pem');
    writeFileSync(authority, cert);
    return await withTable((variables) => {
      const environment = {
        ...variables,
        CALLBACK_URL: `${url}/v1`,
        NODE_EXTRA_CA_CERTS: authority,
        AWS_ENDPOINT_URL_LAMBDA: url,
        FAN_OUT_FUNCTION_ARN: 'none',
        AWS_ENDPOINT_URL_SQS: url,
        LANE_QUEUE_URL: `${url}/000000000000/lane.fifo`,
      };
      return work({ gateway, hasQuota: quota !== undefined, startReader: () => startReader(environment) });
    });
  } finally {
    gateway.disconnect();
    await quota?.remove();
    rmSync(folder, { recursive: true });
  }

  async function startReader(environment: Readonly<Record<string, string>>): Promise<Reader> {
    const reader = fork(fileURLToPath(new URL('reader.ts', import.meta.url)), [index], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    await message(reader, v.object({ ready: v.literal(true) }));
    quota?.add(reader.pid);
    return {
      read(Records) {
        reader.send({ event: { Records }, timeoutMs: TIMEOUT_MS });
        return message(reader, outcome);
      },
      close: () => reader.disconnect(),
    };
  }
}

/** Returns whether a function has reported that all records succeeded. */
export const isSuccess = (result: unknown): boolean => JSON.stringify(result) === '{"batchItemFailures":[]}';

const ulid = monotonicFactory();
/** The stream record of a message of 100 characters. */
export function recordOf(room_id: string) {
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
