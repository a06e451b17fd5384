import type { RoomEvent } from '../contract/realtime.ts';
import { epochSeconds } from '../rules/time.ts';
import { connectionsOf, dropConnection, markDisconnecting, type Recipient, removeMarks } from '../store/connections.ts';
import type { Deadline } from './deadline.ts';
import { deleteConnection, type Outcome, postToConnection, requestPool } from './gateway.ts';
import { pool, type Run } from './pool.ts';

/*
 * Delivers to a batch of a room's connections, and disconnects those that cannot be delivered to. The same code runs in every
 * function that does it: see broadcast.ts.
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

/** `send`: sends the events to each connection, in this order. `close`: closes each; `$disconnect` removes what is stored of it. */
export type Task = { readonly kind: 'send'; readonly events: readonly RoomEvent[] } | { readonly kind: 'close' };

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
}

export interface Counts {
  /** Frames that connections took. */
  sent: number;
  /** Connections that are gone. */
  gone: number;
  /** Connections that did not take a frame, or for which there was no time: each is disconnected, or marked. */
  failed: number;
  /** Connections that took at least one frame. */
  receivers: number;
  /** Connections that could not be closed, and were marked. */
  marked: number;
}

export const noCounts = (): Counts => ({ sent: 0, gone: 0, failed: 0, receivers: 0, marked: 0 });

export function add(to: Counts, { sent, gone, failed, receivers, marked }: Counts): void {
  to.sent += sent;
  to.gone += gone;
  to.failed += failed;
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
    console.error({ action: 'drop', room_id, connection_id, error: error instanceof Error ? error.message : error });
  }
}

/** Closes a connection. Returns false where it may still be open. */
const close = async ({ connection_id }: Disconnected, { signal }: Deadline): Promise<boolean> =>
  !signal.aborted && (await deleteConnection(connection_id, signal)) !== 'failed';

/**
 * Closes a connection, and removes it once that is certain. Returns false where it may still be open: its item then stays, or its
 * client would believe that it is in the room while nobody sends to it.
 */
async function disconnect(room_id: string, recipient: Disconnected, deadline: Deadline): Promise<boolean> {
  if (!(await close(recipient, deadline))) return false;
  await drop(room_id, recipient, deadline);
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
): Promise<R[]> {
  const open: R[] = [];
  await Promise.all(
    recipients.map((recipient) =>
      run(async () => {
        if (!(await work(recipient))) open.push(recipient);
      }),
    ),
  );
  return open;
}

/** Marks connections in one write. Returns their number. @throws if that fails: then nothing would keep the next message from them. */
async function mark(room_id: string, open: readonly Disconnected[]): Promise<number> {
  if (open.length === 0) return 0;
  const ids = open.map(({ connection_id }) => connection_id);
  await onTable(() => markDisconnecting(room_id, ids, new Date().toISOString()));
  console.error({ action: 'mark_disconnecting', room_id, connections: ids.length });
  return ids.length;
}

/**
 * Carries out a batch's task for all its connections in parallel, within the bound of `run`. One that is slow, gone, or whose token
 * has expired costs the others nothing. When it returns, each connection has had everything, is disconnected, or is marked.
 *
 * @throws if connections that may be open cannot be marked.
 */
export async function deliverBatch(
  { room_id, recipients, task }: Batch,
  deadline: Deadline,
  run: Run = roomPool(),
): Promise<Counts> {
  const counts = noCounts();
  const work = workOf({ room_id, task }, deadline, counts);
  counts.marked = await mark(room_id, await stillOpen(recipients, run, work));
  return counts;
}

function workOf({ room_id, task }: Omit<Batch, 'recipients'>, deadline: Deadline, counts: Counts) {
  switch (task.kind) {
    case 'send':
      return sender(room_id, task.events, deadline, counts);
    case 'close':
      return (recipient: Recipient) => close(recipient, deadline);
    default:
      // From an invoker of another version, while one is being deployed.
      throw new Error(`There is no task ${JSON.stringify(task)}.`);
  }
}

/** Returns what sends events to a connection, counts the outcome, and returns whether the connection is done with. */
function sender(room_id: string, events: readonly RoomEvent[], deadline: Deadline, counts: Counts) {
  const frames = events.map((event) => JSON.stringify(event));
  const { signal } = deadline;
  return async (recipient: Recipient): Promise<boolean> => {
    if (recipient.token_expires_at <= epochSeconds(new Date().toISOString()))
      return disconnect(room_id, recipient, deadline);
    for (const [n, frame] of frames.entries()) {
      const outcome: Outcome = signal.aborted
        ? 'failed'
        : await postToConnection(recipient.connection_id, frame, signal);
      if (outcome === 'done') {
        counts.sent++;
        if (n === 0) counts.receivers++;
      } else counts[outcome]++;
      if (outcome === 'gone') {
        await drop(room_id, recipient, deadline);
        return true;
      }
      // A frame that is lost must not be followed by others: the client sees the closed socket, reconnects, and catches up.
      if (outcome === 'failed') return disconnect(room_id, recipient, deadline);
    }
    return true;
  };
}

export interface DisconnectOptions {
  /** Sent to each connection before it is closed. Default: nothing. */
  readonly farewell?: RoomEvent | undefined;
  /** Default: a share of the pool of its own. */
  readonly run?: Run;
}

/**
 * Disconnects connections: those that may no longer listen, or of which nobody knows what they have had. Each client sees the
 * closed socket, reconnects, and catches up. Those that cannot be closed are marked. Returns how many were marked.
 *
 * @throws if connections that may be open cannot be marked.
 */
export async function disconnectAll(
  room_id: string,
  recipients: readonly Disconnected[],
  deadline: Deadline,
  { farewell, run = roomPool() }: DisconnectOptions = {},
): Promise<number> {
  const frame = farewell && JSON.stringify(farewell);
  const open = await stillOpen(recipients, run, async (recipient) => {
    if (frame && !deadline.signal.aborted) await postToConnection(recipient.connection_id, frame, deadline.signal);
    return disconnect(room_id, recipient, deadline);
  });
  return mark(room_id, open);
}

/** Tries once more to disconnect connections that are marked. Returns how many may still be open. */
export async function disconnectMarked(
  room_id: string,
  marked: readonly Disconnected[],
  deadline: Deadline,
  run: Run = roomPool(),
): Promise<number> {
  return (await stillOpen(marked, run, (recipient) => disconnect(room_id, recipient, deadline))).length;
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
