import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { PRESENCE_GRACE_SECONDS } from '../../../core/contract/limits.ts';
import { type Check, percentiles, quantile } from './check.ts';
import { must } from './outcome.ts';
import type { Session } from './session.ts';

/*
 * Checks of IAM, S3, the Scheduler and streams.
 */

/** A message in a room that only this check uses. */
const text = (n: number): string => `verify ${n}`;

const uploadData = v.object({
  file_id: v.string(),
  upload_url: v.string(),
  method: v.string(),
  headers: v.record(v.string(), v.string()),
});

/** Participants that are added to the check's own rooms. They are not real users. */
export const randomUser = (): string => `verify-${randomUUID()}`;

/** Uploads a small file. Returns its ID and the request that stored it. */
export async function upload(session: Session, room_id: string) {
  const query = new URLSearchParams({ name: 'verify.txt', size: '6', content_type: 'text/plain' });
  const data = await session.data('GET', `/participant/room/${room_id}/upload?${query}`);
  const { file_id, upload_url, method, headers } = v.parse(uploadData, data);
  const put = async (body = 'verify', changed: Record<string, string> = {}): Promise<number> => {
    const signal = AbortSignal.timeout(30_000);
    const response = await fetch(upload_url, { method, headers: { ...headers, ...changed }, body, signal });
    await response.text();
    return response.status;
  };
  return { file_id, put };
}

const leadingKeysInTransactions: Check = {
  name: 'leading-keys-transactions',
  proves: 'IAM allows transactions if all their items are in the partitions of the policy.',
  how: 'creates a room with an Idempotency-Key and a participant, adds and removes another, sends a message with a file',
  seconds: 90,
  async run(session, signal) {
    const room_id = await session.createRoom({ participant_ids: [randomUser()] }, signal);
    const added = randomUser();
    await session.data('POST', `/admin/room/${room_id}/participant`, { body: { participant_ids: [added] }, signal });
    await session.data('POST', `/admin/room/${room_id}/participant/${added}/admin`, { signal });
    await session.data('DELETE', `/admin/room/${room_id}/participant/${added}/admin`, { signal });
    await session.data('DELETE', `/admin/room/${room_id}/participant?participant_id=${added}`, { signal });
    const { file_id, put } = await upload(session, room_id);
    must((await put()) === 200, 'the file could not be uploaded');
    const socket = await session.join(room_id);
    await socket.data('message', { room_id, client_message_id: randomUUID(), attachment: { file_id } });
    socket.drop();
    return '7 writes allowed';
  },
};

const leadingKeysInIndex: Check = {
  name: 'leading-keys-index',
  proves: 'IAM compares a query of the index with the partition key of the index.',
  how: 'creates a room and finds it in the list of rooms, which is a query of the index',
  seconds: 60,
  async run(session, signal) {
    const room_id = await session.createRoom({}, signal);
    const started = performance.now();
    const rooms = v.array(v.object({ room_id: v.string() }));
    // The index is eventually consistent.
    for (;;) {
      const listed = v.parse(rooms, await session.data('GET', '/participant/room?limit=50', { signal }));
      if (listed.some((each) => each.room_id === room_id)) break;
      must(performance.now() - started < 20_000, 'the new room is not in the list after 20 s');
      await sleep(100, undefined, { signal });
    }
    return `listed after ${Math.round(performance.now() - started)} ms`;
  },
};

const putOnce: Check = {
  name: 'upload-once',
  proves: 'S3 honors If-None-Match on a presigned PUT: a URL stores one file, of the signed length and type.',
  how: 'PUTs another length, another type, the file, and the file again',
  seconds: 90,
  async run(session, signal) {
    const { put } = await upload(session, await session.createRoom({}, signal));
    const statuses = {
      'another length': await put('verify it'),
      'another type': await put('verify', { 'content-type': 'text/html' }),
      'the file': await put(),
      'the file again': await put(),
    };
    const expected = { 'another length': 403, 'another type': 403, 'the file': 200, 'the file again': 412 };
    for (const [what, status] of Object.entries(expected)) {
      const got = Object.entries(statuses).find(([each]) => each === what)?.[1];
      must(got === status, `${what} returned ${got}, not ${status}`);
    }
    return '403, 403, 200, 412';
  },
};

/** Maximum delay in seconds. The Scheduler invokes within 1 minute. The rest is for retries and the fan-out. */
const SCHEDULE_BOUND_SECONDS = 75;

const scheduleFires: Check = {
  name: 'schedule-fires',
  proves: 'A change of the end reaches the Scheduler, which invokes the function that announces the end.',
  how: `creates a room that ends in 1 hour, moves the end to 20 seconds from now, and waits up to ${SCHEDULE_BOUND_SECONDS} seconds after it`,
  seconds: 150,
  waits: true,
  async run(session, signal) {
    const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1_000).toISOString();
    const room_id = await session.createRoom({ end_time: inSeconds(3_600) }, signal);
    const socket = await session.join(room_id);
    // Passes the remaining time, because the clock of this machine can be wrong.
    const asked = performance.now();
    await session.data('DELETE', `/admin/room/${room_id}`, { body: { time_left_in_seconds: 20 }, signal });
    const { at } = await socket.waitForEvent(room_id, 'room_ended', (20 + SCHEDULE_BOUND_SECONDS) * 1_000);
    const late = (at - asked) / 1_000 - 20;
    must(late > -1, `the end was announced ${-late.toFixed(1)} s early`);
    session.openRooms.delete(room_id);
    must((await socket.closed) === 1000, `the connection was closed with ${await socket.closed}`);
    return `${late.toFixed(1)} s after the end`;
  },
};

const MESSAGES = 30;
/** Interval between messages, in milliseconds. Long enough that a batch of the stream has few messages. */
const MESSAGE_INTERVAL_MS = 150;
/** Maximum lag in milliseconds. The SDK reads missing messages after 10 seconds (`lagMs`). */
const MAX_LAG_MS = 10_000;

const streamLag: Check = {
  name: 'stream-lag',
  proves: 'Messages are delivered from the table through its stream to connections in stored order.',
  how: `sends ${MESSAGES} messages, ${MESSAGE_INTERVAL_MS} ms apart, and measures the time from the reply at the sender to the delivery at another connection`,
  seconds: 120,
  async run(session, signal) {
    const room_id = await session.createRoom({}, signal);
    const [sender, receiver] = [await session.join(room_id), await session.join(room_id)];
    const messageData = v.object({ message_id: v.string() });
    const [lags, totals, ids]: [number[], number[], string[]] = [[], [], []];
    for (let n = 0; n < MESSAGES; n++) {
      const sent = performance.now();
      const reply = await sender.ask('message', { room_id, client_message_id: randomUUID(), text: text(n) });
      must(reply.frame.ok === true, `a message was rejected with ${reply.frame.error?.code}`);
      const { message_id } = v.parse(messageData, reply.frame.data);
      const delivered = await receiver.waitFor(
        `delivery of message ${n + 1}`,
        ({ type, data }) => type === 'message' && v.is(messageData, data) && data.message_id === message_id,
      );
      lags.push(Math.max(0, delivered.at - reply.at));
      totals.push(delivered.at - sent);
      ids.push(message_id);
      await sleep(Math.max(0, sent + MESSAGE_INTERVAL_MS - performance.now()), undefined, { signal });
    }
    must(String([...ids].sort()) === String(ids), 'messages were not stored in the order in which they were sent');
    const slowest = quantile(lags, 0.99);
    must(slowest <= MAX_LAG_MS, `p99 is ${Math.round(slowest)} ms, above ${MAX_LAG_MS}`);
    return `stored to delivered ${percentiles(lags)}; sent to delivered ${percentiles(totals)}`;
  },
};

const disconnectionReported: Check = {
  name: 'disconnection',
  proves: 'API Gateway reports a lost connection, and the presence queue waits for the configured time.',
  how: `drops the connection of the second user, and waits for peer_left, which must follow ${PRESENCE_GRACE_SECONDS} seconds later`,
  seconds: 120,
  waits: true,
  async run(session, signal) {
    const { other } = session;
    const room_id = await session.createRoom({ participant_ids: [other.id] }, signal);
    const stays = await session.join(room_id);
    const goes = await session.join(room_id, other);
    const isOf = (type: string) => (frame: { type: string; room_id?: string | undefined; data?: unknown }) =>
      frame.type === type &&
      frame.room_id === room_id &&
      v.is(v.object({ participant_id: v.literal(other.id) }), frame.data);
    await stays.waitFor('peer_joined', isOf('peer_joined'));
    const dropped = performance.now();
    goes.drop();
    const { at } = await stays.waitFor('peer_left', isOf('peer_left'), 60_000);
    const seconds = (at - dropped) / 1_000;
    must(seconds >= PRESENCE_GRACE_SECONDS - 1, `peer_left came after ${seconds.toFixed(1)} s`);
    return `peer_left after ${seconds.toFixed(1)} s`;
  },
};

export const serviceChecks: readonly Check[] = [
  leadingKeysInTransactions,
  leadingKeysInIndex,
  putOnce,
  streamLag,
  scheduleFires,
  disconnectionReported,
];
