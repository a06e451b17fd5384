import type { RoomEvent } from '../contract/realtime.ts';
import type { Deadline, Watch } from '../platform/deadline.ts';
import { logError } from '../platform/log.ts';
import { pool, type Run } from '../platform/pool.ts';
import { usesV2 } from '../rules/protocol.ts';
import { epochSeconds } from '../rules/time.ts';
import {
  connectionsOf,
  detachConnection,
  detachFromEnded,
  dropConnection,
  type Marked,
  markDisconnecting,
  type Recipient,
  removeMarks,
} from '../store/connections.ts';
import { deleteConnection, type PostOutcome, postToConnection, requestPool } from './gateway.ts';
import { type Pace, paceOf, postsPerSecondOfRoom } from './pace.ts';
import { detachedFrame, isNumbered, type Numbers, pack } from './pack.ts';
import { type Patience, patienceWithin } from './patience.ts';

/*
 * Delivers to a batch of a room's connections. rooms.v1 connections are disconnected if delivery fails, and rooms.v2
 * connections notice a gap (docs/decisions/0030-rooms-v2.md). Several functions use this code: see broadcast.ts.
 */

/**
 * The maximum number of simultaneous posts for one room. More posts do not increase the throughput much, as `npm run
 * bench:fanout` shows.
 */
export const CONNECTIONS_AT_ONCE = 100;

/**
 * The maximum number of simultaneous requests to DynamoDB, over all rooms of a batch. The client has 50 sockets, and
 * waiting for a socket counts towards its time-outs.
 */
const TABLE_REQUESTS_AT_ONCE = 40;
export const onTable: Run = pool(TABLE_REQUESTS_AT_ONCE);

/** Returns a room's share of the pool of all requests to the gateway. */
export const roomPool = (): Run => requestPool(CONNECTIONS_AT_ONCE);

export interface SendTask {
  readonly kind: 'send';
  readonly events: readonly RoomEvent[];
  /** The protocol, if it is known. Missing in requests from invokers of an earlier version. */
  readonly numbers?: Numbers;
  /** The connections that have not received the events yet. Missing if none has. */
  readonly only?: readonly Left[];
  /** When the changes that led to the events were stored, in epoch milliseconds. Missing if this is not measured. */
  readonly stored_at?: readonly number[];
}

/** A connection that did not respond in time. The room's lane delivers to it again. */
export interface Left {
  readonly connection_id: string;
  /** The number of frames that it has accepted. A rooms.v1 connection does not receive them again. */
  readonly had: number;
}

/**
 * `send` sends the events to each connection, in order. `close` closes rooms.v1 connections, whose items `$disconnect`
 * removes, and detaches the others with the event.
 */
export type Task = SendTask | { readonly kind: 'close'; readonly event?: RoomEvent };

/** A task for some connections of a room. */
export interface Batch {
  readonly room_id: string;
  readonly recipients: readonly Recipient[];
  readonly task: Task;
}

/** The input of the fan-out function. */
export interface FanOutRequest extends Batch {
  /** How long the invoker waits for the batch, in milliseconds. */
  readonly time_left_ms: number;
  /** The maximum post rate. Missing in requests from invokers of an earlier version. */
  readonly posts_per_second?: number;
}

export interface Counts {
  /** Frames that were delivered. */
  sent: number;
  /** Connections that are gone. */
  gone: number;
  /** Connections without a delivery, because it failed or no time was left. Each is disconnected or marked. */
  failed: number;
  /** rooms.v2 connections that missed frames, and notice a gap. */
  skipped: number;
  /** Connections that received at least one frame. */
  receivers: number;
  /** Connections that could not be closed, and were marked. */
  marked: number;
}

export const noCounts = (): Counts => ({ sent: 0, gone: 0, failed: 0, skipped: 0, receivers: 0, marked: 0 });

/** `skipped` is missing in results from an earlier version of the fan-out function. */
export function add(
  to: Counts,
  { sent, gone, failed, skipped = 0, receivers, marked }: Omit<Counts, 'skipped'> & { skipped?: number },
): void {
  to.sent += sent;
  to.gone += gone;
  to.failed += failed;
  to.skipped += skipped;
  to.receivers += receivers;
  to.marked += marked;
}

type Disconnected = Pick<Recipient, 'connection_id' | 'participant_id'>;

/**
 * Deletes the item of a connection that is closed or gone. Never throws, because a failure must not repeat the batch.
 * The next broadcast finds a remaining item.
 */
async function drop(
  room_id: string,
  { connection_id, participant_id }: Disconnected,
  { signal }: Deadline,
): Promise<void> {
  const now = new Date().toISOString();
  try {
    await onTable(async () => {
      if (!signal.aborted) await dropConnection({ room_id, connection_id, user_id: participant_id, now });
    });
  } catch (error) {
    logError({ action: 'drop', room_id, connection_id }, error);
  }
}

/** Closes a connection. Returns false if it may still be open. */
const close = async ({ connection_id }: Disconnected, { signal, watch }: Deadline): Promise<boolean> =>
  !signal.aborted && (await deleteConnection(connection_id, signal, watch)) !== 'failed';

/**
 * Closes a connection, and removes its item if closing succeeded. Returns false if the connection may still be open.
 * Its item then stays: otherwise, the client would believe that it is in the room, but receive nothing.
 */
async function disconnect(room_id: string, recipient: Disconnected, deadline: Deadline): Promise<boolean> {
  if (!(await close(recipient, deadline))) return false;
  await drop(room_id, recipient, deadline);
  return true;
}

/**
 * Detaches a connection from a room without closing it, and sends the event with the reason, if there is one. Returns
 * false if no time is left.
 *
 * @param post the time limit of the frame, if it is shorter than that of the batch
 */
async function detach(
  room_id: string,
  { connection_id, participant_id, joined_at }: Recipient,
  event: RoomEvent | undefined,
  deadline: Deadline,
  post: Deadline = deadline,
): Promise<boolean> {
  const { signal } = deadline;
  if (signal.aborted) return false;
  const now = new Date().toISOString();
  const frame = detachedFrame(room_id, event, event?.sent_at ?? now, joined_at);
  // If the frame is lost, the client's next ping reveals that it has left the room.
  await postToConnection(connection_id, frame, post.signal, post.watch);
  if (signal.aborted) return false;
  const about = { room_id, connection_id, user_id: participant_id, joined_at, now };
  const leave = event?.type === 'room_ended' ? detachFromEnded : detachConnection;
  await onTable(() => leave(about)).catch((error: unknown) =>
    logError({ action: 'detach', room_id, connection_id }, error),
  );
  return true;
}

/**
 * Calls `work` for each recipient within the pool. Returns the recipients for which it returned false: these may still
 * be open, and must receive nothing more.
 */
async function stillOpen<R extends Disconnected>(
  recipients: readonly R[],
  run: Run,
  work: (recipient: R) => Promise<boolean>,
  turn?: (recipient: R) => Promise<void>,
): Promise<R[]> {
  const open: R[] = [];
  await Promise.all(
    recipients.map(async (recipient) => {
      // Runs outside of the pool, so that other posts continue.
      await turn?.(recipient);
      await run(async () => {
        if (!(await work(recipient))) open.push(recipient);
      });
    }),
  );
  return open;
}

/**
 * Marks connections in one write. Returns their number.
 *
 * @param detach whether rooms.v2 connections only have to leave the room, and can stay open
 * @throws if the write fails, because the connections could then receive the next message
 */
async function mark(room_id: string, open: readonly Disconnected[], detach = false): Promise<number> {
  if (open.length === 0) return 0;
  const ids = open.map(({ connection_id }) => connection_id);
  await onTable(() => markDisconnecting(room_id, ids, new Date().toISOString(), detach));
  console.error({ action: 'mark_disconnecting', room_id, connections: ids.length });
  return ids.length;
}

/**
 * Runs a batch's task for all its connections in parallel, within the limit of `run`. A connection that is slow, gone,
 * or has an expired token does not delay the others. At the end, each connection has received everything, will notice a
 * gap, is disconnected, or is marked.
 *
 * @throws if connections that may be open cannot be marked
 */
export async function deliverBatch(
  batch: Batch,
  deadline: Deadline,
  { run = roomPool(), pace = paceOf(postsPerSecondOfRoom()) }: { readonly run?: Run; readonly pace?: Pace } = {},
): Promise<Counts> {
  const counts = noCounts();
  const open = await attemptBatch(batch, deadline, { run, pace, counts });
  counts.marked = await mark(batch.room_id, open, batch.task.kind === 'close');
  return counts;
}

/**
 * Like `deliverBatch`, but stops waiting for connections that do not respond when `patience` has passed. It returns
 * them without closing or marking them: each may have received the frame to which it did not respond.
 *
 * @throws as `deliverBatch` does
 */
export async function deliverPatiently(
  batch: Batch,
  patience: Patience,
  run: Run,
): Promise<Counts & { readonly left: readonly Left[] }> {
  const counts = noCounts();
  const left: Left[] = [];
  const pace = paceOf(postsPerSecondOfRoom());
  const leave: Leave = ({ connection_id }, had) => patience.isOver() && left.push({ connection_id, had }) > 0;
  const open = await attemptBatch(batch, patience, { run, pace, counts, leave });
  if (patience.isOver()) for (const recipient of open) leave(recipient, 0);
  else counts.marked = await mark(batch.room_id, open, batch.task.kind === 'close');
  return { ...counts, left };
}

/**
 * Returns true if the lane delivers the remaining frames to a connection that did not respond. `had`: the number of
 * frames that it has accepted.
 */
type Leave = (recipient: Recipient, had: number) => boolean;
const leaveNothing: Leave = () => false;

interface Means {
  readonly run: Run;
  readonly pace: Pace;
  readonly counts: Counts;
  readonly leave?: Leave;
}

/** Returns the connections that may still be open, and must receive nothing more. */
function attemptBatch(
  { room_id, recipients, task }: Batch,
  deadline: Deadline,
  { run, pace, counts, leave = leaveNothing }: Means,
): Promise<Recipient[]> {
  const work = workOf({ room_id, task }, deadline, counts, leave);
  const turn = (recipient: Recipient) => pace(postsTo(room_id, task, recipient), deadline.signal);
  return stillOpen(recipients, run, work, turn);
}

function workOf({ room_id, task }: Omit<Batch, 'recipients'>, deadline: Deadline, counts: Counts, leave: Leave) {
  switch (task.kind) {
    case 'send':
      return sender(room_id, task, deadline, counts, leave);
    case 'close':
      return (recipient: Recipient) =>
        usesV2(recipient) ? detach(room_id, recipient, task.event, deadline) : close(recipient, deadline);
    default:
      // During a deployment, invokers may have another version.
      throw new Error(`There is no task ${JSON.stringify(task)}.`);
  }
}

/** The frames of a task in the format of each protocol version, computed at first use. */
interface Frames {
  v1?: readonly string[];
  v2?: readonly string[];
}

/** Returns the number of rooms.v1 frames for these events. */
export const framesInV1 = (events: readonly RoomEvent[]): number => events.flatMap(inV1).length;

/** Returns the rooms.v1 events for an event: one per user for a presence digest, and otherwise the event itself. */
function inV1(event: RoomEvent): RoomEvent[] {
  if (event.type !== 'presence') return [event];
  const { data, ...about } = event;
  return [
    ...(data.joined ?? []).map((peer): RoomEvent => ({ ...about, type: 'peer_joined', data: peer })),
    ...(data.left ?? []).map((peer): RoomEvent => ({ ...about, type: 'peer_left', data: peer })),
  ];
}

/** Cached, because the frames are needed for each part of a batch. */
const framesOfTasks = new WeakMap<SendTask, Frames>();

function framesFor(room_id: string, task: SendTask, isV2: boolean): readonly string[] {
  const frames = framesOfTasks.get(task) ?? {};
  framesOfTasks.set(task, frames);
  const { events, numbers } = task;
  if (!isV2) {
    frames.v1 ??= events.flatMap(inV1).map((event) => JSON.stringify(event));
    return frames.v1;
  }
  frames.v2 ??= numbers ? pack(room_id, numbers, events.filter(isNumbered)) : [];
  return frames.v2;
}

const postsTo = (room_id: string, task: Task, recipient: Recipient): number =>
  task.kind === 'send' ? framesFor(room_id, task, usesV2(recipient)).length : 1;

/** Returns the average number of posts that a task needs per connection. */
export function postsEach(room_id: string, task: Task, recipients: readonly Recipient[]): number {
  if (task.kind !== 'send' || recipients.length === 0) return 1;
  const ofV2 = recipients.filter(usesV2).length;
  const ofV1 = recipients.length - ofV2;
  const each = (isV2: boolean): number => framesFor(room_id, task, isV2).length;
  return ((ofV2 > 0 ? ofV2 * each(true) : 0) + (ofV1 > 0 ? ofV1 * each(false) : 0)) / recipients.length;
}

/**
 * rooms.v2 connections whose last post timed out. One time-out may be caused by the gateway. After a second one in a
 * row, the connection is closed, because every batch of its room waits for it.
 */
const unanswered = new Set<string>();
/** More than a process ever has. Each ID takes about 40 bytes. */
const MAX_UNANSWERED = 10_000;

/** Records an outcome. Returns whether it is the second time-out in a row. */
function isUnresponsive({ connection_id }: Recipient, outcome: PostOutcome): boolean {
  if (outcome !== 'unanswered') {
    if (outcome !== 'failed') unanswered.delete(connection_id);
    return false;
  }
  if (unanswered.delete(connection_id)) return true;
  if (unanswered.size >= MAX_UNANSWERED) unanswered.clear();
  unanswered.add(connection_id);
  return false;
}

/**
 * Returns a task for a connection. It sends the events, counts the outcome, and returns false if the connection may
 * still be open but must receive nothing more.
 */
function sender(room_id: string, task: SendTask, deadline: Deadline, counts: Counts, leave: Leave) {
  const { signal, watch } = deadline;
  // A rooms.v1 client cannot tell a repeated frame from a new one.
  const watchV1: Watch | undefined = watch && ((request) => watch(request, true));
  const had = new Map(task.only?.map((left) => [left.connection_id, left.had]));
  return async (recipient: Recipient): Promise<boolean> => {
    if (recipient.token_expires_at <= epochSeconds(new Date().toISOString()))
      return disconnect(room_id, recipient, deadline);
    const isV2 = usesV2(recipient);
    for (const [n, frame] of framesFor(room_id, task, isV2).entries()) {
      // A rooms.v2 client recognizes repeated events by their numbers.
      if (!isV2 && n < (had.get(recipient.connection_id) ?? 0)) continue;
      const outcome: PostOutcome = signal.aborted
        ? 'failed'
        : await postToConnection(recipient.connection_id, frame, signal, isV2 ? watch : watchV1);
      if (outcome !== 'done' && outcome !== 'gone' && leave(recipient, n)) return true;
      const mustClose = !isV2 || isUnresponsive(recipient, outcome);
      if (outcome === 'done') {
        counts.sent++;
        if (n === 0) counts.receivers++;
        continue;
      }
      if (outcome === 'gone') {
        counts.gone++;
        await drop(room_id, recipient, deadline);
        return true;
      }
      // After a lost frame, a rooms.v1 client must receive no others. It sees the closed socket, reconnects, and
      // catches up.
      counts[mustClose ? 'failed' : 'skipped']++;
      return mustClose ? disconnect(room_id, recipient, deadline) : true;
    }
    return true;
  };
}

/**
 * Disconnects rooms.v1 connections that may have missed frames. The clients see the closed sockets, reconnect, and
 * catch up. Connections that cannot be closed are marked. Returns the number of marked connections.
 *
 * @throws if connections that may be open cannot be marked
 */
export const disconnectAll = async (
  room_id: string,
  recipients: readonly Disconnected[],
  deadline: Deadline,
  run: Run,
): Promise<number> => mark(room_id, await stillOpen(recipients, run, (each) => disconnect(room_id, each, deadline)));

/**
 * Removes connections from a room whose events they may no longer receive, and sends the event with the reason, if
 * there is one. rooms.v1 connections are closed, and the others detached. If that fails, or a rooms.v1 connection does
 * not respond for about 40 ms, connections are marked. Returns the number of marked connections.
 *
 * @throws if connections that may be open cannot be marked
 */
export async function removeRecipients(
  room_id: string,
  recipients: readonly Recipient[],
  event: RoomEvent | undefined,
  deadline: Deadline,
): Promise<number> {
  const v1 = event && JSON.stringify(event);
  const patience = patienceWithin(deadline);
  const { signal, watch } = patience;
  try {
    const open = await stillOpen(recipients, roomPool(), async (recipient) => {
      if (usesV2(recipient)) return detach(room_id, recipient, event, deadline, patience);
      if (v1 && !signal.aborted) await postToConnection(recipient.connection_id, v1, signal, watch);
      return disconnect(room_id, recipient, patience);
    });
    return await mark(room_id, open, true);
  } finally {
    patience.end();
  }
}

/** Retries to disconnect or detach marked connections. Returns how many may still be open. */
export async function disconnectMarked(
  room_id: string,
  marked: readonly Marked[],
  deadline: Deadline,
  run: Run = roomPool(),
): Promise<number> {
  const open = await stillOpen(marked, run, (recipient) =>
    recipient.detach && usesV2(recipient)
      ? detach(room_id, recipient, undefined, deadline)
      : disconnect(room_id, recipient, deadline),
  );
  return open.length;
}

/**
 * Disconnects the marked connections of a room, and removes the marks when all are closed. Returns how many may still
 * be open.
 *
 * @throws if the table cannot be read or written
 */
export async function retryDisconnect(room_id: string, deadline: Deadline): Promise<{ closed: number; open: number }> {
  const { disconnecting, marks } = await onTable(() => connectionsOf(room_id));
  const open = await disconnectMarked(room_id, disconnecting, deadline);
  if (open === 0) await removeMarks(room_id, marks);
  return { closed: disconnecting.length - open, open };
}
