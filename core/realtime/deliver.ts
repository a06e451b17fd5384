import type { RoomEvent } from '../contract/realtime.ts';
import type { Deadline } from '../platform/deadline.ts';
import { logError } from '../platform/log.ts';
import { pool, type Run } from '../platform/pool.ts';
import { speaksV2 } from '../rules/protocol.ts';
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
import type { Patience } from './patience.ts';

/*
 * Delivers to a batch of a room's connections. Those of rooms.v1 that cannot be delivered to are disconnected; those of rooms.v2 see a
 * gap (docs/decisions/0030-rooms-v2.md). The same code runs in every function that does it: see broadcast.ts.
 */

/** Connections of one room that are posted to at the same time: the knee of the curve that `npm run bench:fanout` draws. */
export const CONNECTIONS_AT_ONCE = 100;

/**
 * Requests to DynamoDB that are under way at the same time, over all rooms of a batch. The client has 50 sockets, and its time-outs
 * run while a request waits for one.
 */
const TABLE_REQUESTS_AT_ONCE = 40;
export const onTable: Run = pool(TABLE_REQUESTS_AT_ONCE);

/** Returns a room's share of the pool of all requests to the gateway. */
export const roomPool = (): Run => requestPool(CONNECTIONS_AT_ONCE);

export interface SendTask {
  readonly kind: 'send';
  readonly events: readonly RoomEvent[];
  /** Of those that have one. Missing from invokers of an earlier version. */
  readonly numbers?: Numbers;
  /** The connections that are still to be sent to. Missing where all are. */
  readonly only?: readonly Left[];
}

/** A connection that did not answer in time, and is left to the room's lane. */
export interface Left {
  readonly connection_id: string;
  /** The frames that it has taken. One of rooms.v1 is not sent them again. */
  readonly had: number;
}

/**
 * `send`: sends the events to each connection, in this order. `close`: closes the connections that speak rooms.v1, for which `$disconnect` removes what
 * is stored of them, and detaches the others with the event.
 */
export type Task = SendTask | { readonly kind: 'close'; readonly event?: RoomEvent };

/** Some connections of a room, and what to do to each. */
export interface Batch {
  readonly room_id: string;
  readonly recipients: readonly Recipient[];
  readonly task: Task;
}

/** What the fan-out function is invoked with. */
export interface FanOutRequest extends Batch {
  /** Milliseconds that the invoker still waits for the batch to be delivered. */
  readonly time_left_ms: number;
  /** How fast it may post. Missing from invokers of an earlier version. */
  readonly posts_per_second?: number;
}

export interface Counts {
  /** Frames that connections took. */
  sent: number;
  /** Connections that are gone. */
  gone: number;
  /** Connections that did not take a frame, or for which there was no time: each is disconnected, or marked. */
  failed: number;
  /** Connections of rooms.v2 that were not sent all frames, and see a gap. */
  skipped: number;
  /** Connections that took at least one frame. */
  receivers: number;
  /** Connections that could not be closed, and were marked. */
  marked: number;
}

export const noCounts = (): Counts => ({ sent: 0, gone: 0, failed: 0, skipped: 0, receivers: 0, marked: 0 });

/** `skipped` is missing in answers of an earlier version of the fan-out function. */
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
 * Removes a connection that has been closed, or is gone. Never throws: a failure here must not have the batch delivered again. What
 * is left is found by the next broadcast, as where the time is up.
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

/** Closes a connection. Returns false where it may still be open. */
const close = async ({ connection_id }: Disconnected, { signal, watch }: Deadline): Promise<boolean> =>
  !signal.aborted && (await deleteConnection(connection_id, signal, watch)) !== 'failed';

/**
 * Closes a connection, and removes it once that is certain. Returns false where it may still be open: its item then stays, or its
 * client would believe that it is in the room while nobody sends to it.
 */
async function disconnect(room_id: string, recipient: Disconnected, deadline: Deadline): Promise<boolean> {
  if (!(await close(recipient, deadline))) return false;
  await drop(room_id, recipient, deadline);
  return true;
}

/** Takes a connection out of a room, with the event that says why, if there is one, and leaves it open. Returns false where the time is up. */
async function detach(
  room_id: string,
  { connection_id, participant_id, joined_at }: Recipient,
  event: RoomEvent | undefined,
  { signal, watch }: Deadline,
): Promise<boolean> {
  if (signal.aborted) return false;
  const now = new Date().toISOString();
  // A frame that is lost is noticed with the client's next ping.
  await postToConnection(connection_id, detachedFrame(room_id, event, event?.sent_at ?? now, joined_at), signal, watch);
  if (signal.aborted) return false;
  const about = { room_id, connection_id, user_id: participant_id, joined_at, now };
  const leave = event?.type === 'room_ended' ? detachFromEnded : detachConnection;
  await onTable(() => leave(about)).catch((error: unknown) =>
    logError({ action: 'detach', room_id, connection_id }, error),
  );
  return true;
}

/**
 * Calls `work` for each recipient within the pool, and returns those for which it returned false: connections that may still be
 * open, and must not be sent anything more.
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
      // Outside of the pool: others go on meanwhile.
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
 * @param detach whether those of rooms.v2 need only leave the room
 * @throws if that fails: then nothing would keep the next message from them.
 */
async function mark(room_id: string, open: readonly Disconnected[], detach = false): Promise<number> {
  if (open.length === 0) return 0;
  const ids = open.map(({ connection_id }) => connection_id);
  await onTable(() => markDisconnecting(room_id, ids, new Date().toISOString(), detach));
  console.error({ action: 'mark_disconnecting', room_id, connections: ids.length });
  return ids.length;
}

/**
 * Carries out a batch's task for all its connections in parallel, within the bound of `run`. One that is slow, gone, or whose token
 * has expired costs the others nothing. When it returns, each connection has had everything, will see a gap, is disconnected, or is marked.
 *
 * @throws if connections that may be open cannot be marked.
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
 * As `deliverBatch`, but waits for connections that do not answer only as long as `patience` lasts. Nothing is done about those that are
 * left then: each may have had the frame that it did not answer.
 *
 * @throws as `deliverBatch` does.
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

/** Leaves a connection that has taken so many frames to the lane, if it may. Returns whether it does. */
type Leave = (recipient: Recipient, had: number) => boolean;
const leaveNothing: Leave = () => false;

interface Means {
  readonly run: Run;
  readonly pace: Pace;
  readonly counts: Counts;
  readonly leave?: Leave;
}

/** Returns the connections that may still be open, and must not be sent anything more. */
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
        speaksV2(recipient) ? detach(room_id, recipient, task.event, deadline) : close(recipient, deadline);
    default:
      // From an invoker of another version, while one is being deployed.
      throw new Error(`There is no task ${JSON.stringify(task)}.`);
  }
}

/** The frames of a task, as each version of the protocol has them: made when the first connection needs them. */
interface Frames {
  v1?: readonly string[];
  v2?: readonly string[];
}

/** Returns the number of frames that events are for a connection of rooms.v1. */
export const framesInV1 = (events: readonly RoomEvent[]): number => events.flatMap(inV1).length;

/** Returns an event as connections of rooms.v1 know it: who came and went in a digest of presence are events of their own. */
function inV1(event: RoomEvent): RoomEvent[] {
  if (event.type !== 'presence') return [event];
  const { data, ...about } = event;
  return [
    ...(data.joined ?? []).map((peer): RoomEvent => ({ ...about, type: 'peer_joined', data: peer })),
    ...(data.left ?? []).map((peer): RoomEvent => ({ ...about, type: 'peer_left', data: peer })),
  ];
}

/** A batch is delivered in parts: its frames are made once. */
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
  task.kind === 'send' ? framesFor(room_id, task, speaksV2(recipient)).length : 1;

/** Returns the number of posts that a task takes for each of the connections, on average. */
export function postsEach(room_id: string, task: Task, recipients: readonly Recipient[]): number {
  if (task.kind !== 'send' || recipients.length === 0) return 1;
  const ofV2 = recipients.filter(speaksV2).length;
  const ofV1 = recipients.length - ofV2;
  const each = (isV2: boolean): number => framesFor(room_id, task, isV2).length;
  return ((ofV2 > 0 ? ofV2 * each(true) : 0) + (ofV1 > 0 ? ofV1 * each(false) : 0)) / recipients.length;
}

/**
 * Connections of rooms.v2 that did not answer the last post in time. One such post may be the gateway's doing; a connection that does not answer the next one
 * either is disconnected, because every batch of its room waits for it.
 */
const unanswered = new Set<string>();
/** Far more than a process meets; each ID is some 40 bytes. */
const MAX_UNANSWERED = 10_000;

/** Notes an outcome. Returns whether it is the second post in a row that was not answered. */
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

/** Returns what sends events to a connection, counts the outcome, and returns whether the connection is done with. */
function sender(room_id: string, task: SendTask, deadline: Deadline, counts: Counts, leave: Leave) {
  const { signal, watch } = deadline;
  const had = new Map(task.only?.map((left) => [left.connection_id, left.had]));
  return async (recipient: Recipient): Promise<boolean> => {
    if (recipient.token_expires_at <= epochSeconds(new Date().toISOString()))
      return disconnect(room_id, recipient, deadline);
    const isV2 = speaksV2(recipient);
    for (const [n, frame] of framesFor(room_id, task, isV2).entries()) {
      // A client of rooms.v2 drops by its number what it has.
      if (!isV2 && n < (had.get(recipient.connection_id) ?? 0)) continue;
      const outcome: PostOutcome = signal.aborted
        ? 'failed'
        : await postToConnection(recipient.connection_id, frame, signal, watch);
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
      // After a lost frame, a client of rooms.v1 must not get others: it sees the closed socket, reconnects, and catches up.
      counts[mustClose ? 'failed' : 'skipped']++;
      return mustClose ? disconnect(room_id, recipient, deadline) : true;
    }
    return true;
  };
}

/**
 * Disconnects connections of rooms.v1 for which it is unknown which frames they received. Each client sees the closed
 * socket, reconnects, and catches up. Those that cannot be closed are marked. Returns how many were marked.
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
 * Takes connections out of a room that may no longer listen, after the event that says why, if there is one: those of rooms.v1 are
 * closed, the others detached. Those for which that fails are marked. Returns how many were marked.
 *
 * @throws if connections that may be open cannot be marked.
 */
export async function expel(
  room_id: string,
  recipients: readonly Recipient[],
  event: RoomEvent | undefined,
  deadline: Deadline,
): Promise<number> {
  const v1 = event && JSON.stringify(event);
  const { signal, watch } = deadline;
  const open = await stillOpen(recipients, roomPool(), async (recipient) => {
    if (speaksV2(recipient)) return detach(room_id, recipient, event, deadline);
    if (v1 && !signal.aborted) await postToConnection(recipient.connection_id, v1, signal, watch);
    return disconnect(room_id, recipient, deadline);
  });
  return mark(room_id, open, true);
}

/** Tries once more to disconnect, or detach, connections that are marked. Returns how many may still be open. */
export async function disconnectMarked(
  room_id: string,
  marked: readonly Marked[],
  deadline: Deadline,
  run: Run = roomPool(),
): Promise<number> {
  const open = await stillOpen(marked, run, (recipient) =>
    recipient.detach && speaksV2(recipient)
      ? detach(room_id, recipient, undefined, deadline)
      : disconnect(room_id, recipient, deadline),
  );
  return open.length;
}

/**
 * Disconnects the connections of a room that are marked, and removes the marks once all are closed. Returns how many may still be
 * open.
 *
 * @throws if the table cannot be read or written.
 */
export async function retryDisconnect(room_id: string, deadline: Deadline): Promise<{ closed: number; open: number }> {
  const { disconnecting, marks } = await onTable(() => connectionsOf(room_id));
  const open = await disconnectMarked(room_id, disconnecting, deadline);
  if (open === 0) await removeMarks(room_id, marks);
  return { closed: disconnecting.length - open, open };
}
