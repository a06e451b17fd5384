import { MAX_POSTS_HERE } from '../../core/realtime/broadcast.ts';
import { DEFAULT_MB, memoryOf } from '../../lib/memory.ts';
import { type Counted, unitsOf } from '../../test/fixtures/samples.ts';
import { KUBERNETES, PRICES } from '../prices.ts';
import { sum } from './numbers.ts';
import { PING_SECONDS, pingsOfClient, roomSeconds, roundSeconds, shares } from './scale-model.ts';

/** Assumptions about the use of rooms. Change them with the options of `npm run bench:price`. */
interface Assumptions {
  /** Participants of a room, all connected while it is live. */
  readonly participants: number;
  /** How long a room is live, in hours. */
  readonly hours: number;
  /** Messages per room and hour. */
  readonly messages: number;
  /** Seconds of silence after which a client sends a ping. */
  readonly pingSeconds: number;
  /** Billed duration of a warm function except the fan-out, in milliseconds. */
  readonly functionMs: number;
  /** Billed duration of a fan-out, in milliseconds: a fixed part, and a part per 100 receivers. */
  readonly fanOutMs: number;
  readonly fanOutMsPerHundred: number;
  /** Share of invocations with a cold start, and its additional billed duration, in milliseconds. */
  readonly coldShare: number;
  readonly coldMs: number;
  /** Bytes of a delivered message, of a stored message, and of the log of an invocation. */
  readonly messageBytes: number;
  readonly storedBytes: number;
  readonly logBytes: number;
}

export const ASSUMPTIONS: Assumptions = {
  participants: 10,
  hours: 1,
  messages: 60,
  pingSeconds: PING_SECONDS['rooms.v2'],
  functionMs: 25,
  fanOutMs: 40,
  fanOutMsPerHundred: 35,
  coldShare: 0.01,
  coldMs: 400,
  messageBytes: 500,
  storedBytes: 700,
  logBytes: 1_000,
};

/** Memory of most functions, and of functions that post, in gigabytes. */
const MEMORY_GB = DEFAULT_MB / 1_024;
const FAN_OUT_GB = memoryOf('deliver-messages') / 1_024;
const GB = 1e9;

/** Dollars by service. */
export type Bill = Readonly<
  Record<'Lambda' | 'API Gateway' | 'DynamoDB' | 'SQS' | 'logs' | 'traffic' | 'storage', number>
>;

const NOTHING: Bill = { Lambda: 0, 'API Gateway': 0, DynamoDB: 0, SQS: 0, logs: 0, traffic: 0, storage: 0 };
const plus = (bills: readonly Bill[]): Bill =>
  Object.fromEntries(
    Object.keys(NOTHING).map((name) => [name, sum(bills.map((bill) => bill[name as keyof Bill]))]),
  ) as Bill;
const times = (count: number, bill: Bill): Bill =>
  Object.fromEntries(Object.entries(bill).map(([name, dollars]) => [name, count * dollars])) as Bill;
export const total = (bill: Bill): number => sum(Object.values(bill));

/** Returns the prices of one room-hour and of one message. */
export function priceOf(assumed: Assumptions): { roomHour: Bill; message: Bill } {
  const { participants, hours, messages, pingSeconds } = assumed;
  const invocation = (ms: number, gb: number): Bill => ({
    ...NOTHING,
    Lambda:
      PRICES.lambdaRequest.dollars +
      ((ms + assumed.coldShare * assumed.coldMs) / 1_000) * gb * PRICES.lambdaGbSecond.dollars,
    logs: (assumed.logBytes / GB) * PRICES.logGb.dollars,
  });
  const table = (call: Counted): Bill => {
    const { rcu, wcu } = unitsOf(call);
    // A strongly consistent read of up to 4 KB is one read request unit.
    return { ...NOTHING, DynamoDB: rcu * PRICES.readUnit.dollars + wcu * PRICES.writeUnit.dollars };
  };
  const gateway = (dollars: number): Bill => ({ ...NOTHING, 'API Gateway': dollars });
  const http = (call: Counted): Bill =>
    plus([gateway(PRICES.httpRequest.dollars), invocation(assumed.functionMs, MEMORY_GB), table(call)]);
  // The frame and its reply.
  const frame = (call: Counted): Bill =>
    plus([gateway(2 * PRICES.socketMessage.dollars), invocation(assumed.functionMs, MEMORY_GB), table(call)]);
  const { batch, invoked, own } = shares(participants, 1);
  const sendMs = (connections: number): number => assumed.fanOutMs + (assumed.fanOutMsPerHundred * connections) / 100;
  // The invoker is also billed while it waits.
  const waitingMs = invoked > 0 ? 1_000 * roomSeconds(participants, 1) : 0;
  /**
   * The additional cost of a large room: an invocation of the reader, an item that is written and deleted, a read, and
   * a message that is sent, received and deleted.
   */
  const lane: Bill = plus([
    invocation(assumed.functionMs, FAN_OUT_GB),
    {
      ...NOTHING,
      DynamoDB: 2 * PRICES.writeUnit.dollars + PRICES.readUnit.dollars,
      SQS: 3 * PRICES.fifoRequest.dollars,
    },
  ]);
  /**
   * The cost of one event to everyone in the room: one write for its number, a read of all connections of 0.4 KB, and
   * the posts.
   */
  const fanOut: Bill = plus([
    invocation(Math.max(sendMs(own), waitingMs), FAN_OUT_GB),
    times(invoked, invocation(sendMs(batch), FAN_OUT_GB)),
    {
      ...NOTHING,
      DynamoDB: Math.ceil((participants * 0.4) / 4) * PRICES.readUnit.dollars + PRICES.writeUnit.dollars,
    },
    gateway(participants * PRICES.socketMessage.dollars),
    ...(participants > MAX_POSTS_HERE ? [lane] : []),
    { ...NOTHING, traffic: ((participants * assumed.messageBytes) / GB) * PRICES.egressGb.dollars },
  ]);
  // Stored for one year.
  const storage: Bill = { ...NOTHING, storage: (assumed.storedBytes / GB) * PRICES.storageGbMonth.dollars * 12 };

  // Messages that arrive during a delivery form the next batch, with one post to each receiver.
  const together = Math.max(1, (messages / 3_600) * roundSeconds(participants));
  const message = plus([frame('message'), times(1 / together, fanOut), storage]);
  const room = plus([http('createRoom, with 10 others and a key'), http('endRoom, in an hour'), times(2, fanOut)]);
  /** What each participant does once: finds the room, sets the profile, connects, joins and leaves. */
  const visit = plus([
    http('listRooms, page of 50'),
    http('getRoom'),
    http('listParticipants, page of 50'),
    http('listMessages, page of 50'),
    http('updateProfile'),
    // The authorizer, $connect and $disconnect.
    times(3, invocation(assumed.functionMs, MEMORY_GB)),
    frame('join, rooms.v2'),
    frame('leave'),
    // Three events to the others: the user joins, sets a name, and leaves.
    times(3, fanOut),
  ]);
  const pings = times(participants * pingsOfClient(messages, pingSeconds), frame('ping, with numbers'));
  const connected = gateway(participants * 60 * PRICES.connectionMinute.dollars);
  return {
    roomHour: plus([
      times(1 / hours, plus([room, times(participants, visit)])),
      times(messages, message),
      pings,
      connected,
    ]),
    message,
  };
}

/** Fixed dollars per month, independent of use. */
export const kubernetesFloor = (): number => sum(KUBERNETES.map(({ count, dollars }) => count * dollars));
