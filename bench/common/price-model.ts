import { MAX_POSTS_HERE } from '../../core/realtime/broadcast.ts';
import { DEFAULT_MB, memoryOf } from '../../lib/memory.ts';
import { KUBERNETES, PRICES } from '../prices.ts';
import { type Counted, unitsOf } from './budget.ts';
import { sum } from './numbers.ts';
import { PING_SECONDS, pingsOfClient, roomSeconds, roundSeconds, shares } from './scale-model.ts';

/** What is supposed of how rooms are used. Change it with the options of `npm run bench:price`. */
export interface Assumptions {
  /** Participants of a room, all of them connected while it is on. */
  readonly participants: number;
  /** How long a room is on, in hours. */
  readonly hours: number;
  /** Messages in a room and hour. */
  readonly messages: number;
  /** Seconds of silence after which a client pings. */
  readonly pingSeconds: number;
  /** Billed time of a warm function but the fan-out, in milliseconds. */
  readonly functionMs: number;
  /** Billed time of a fan-out, in milliseconds: a start, and for each hundred receivers. */
  readonly fanOutMs: number;
  readonly fanOutMsPerHundred: number;
  /** Share of invocations that start a new environment, and what that adds to the bill, in milliseconds. */
  readonly coldShare: number;
  readonly coldMs: number;
  /** Bytes of a message as it is delivered, of what is stored for it, and of what is logged for an invocation. */
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

/** Gigabytes of the memory of most functions, and of those that post. */
const MEMORY_GB = DEFAULT_MB / 1_024;
const FAN_OUT_GB = memoryOf('deliver-messages') / 1_024;
const GB = 1e9;

/** Dollars by what they are paid for. */
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

/** What one hour of a room costs, and what one message costs. */
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
    // A consistent read is one unit; on demand it is called a read request unit too.
    return { ...NOTHING, DynamoDB: rcu * PRICES.readUnit.dollars + wcu * PRICES.writeUnit.dollars };
  };
  const gateway = (dollars: number): Bill => ({ ...NOTHING, 'API Gateway': dollars });
  const http = (call: Counted): Bill =>
    plus([gateway(PRICES.httpRequest.dollars), invocation(assumed.functionMs, MEMORY_GB), table(call)]);
  // A frame and its reply.
  const frame = (call: Counted): Bill =>
    plus([gateway(2 * PRICES.socketMessage.dollars), invocation(assumed.functionMs, MEMORY_GB), table(call)]);
  const { batch, invoked, own } = shares(participants, 1);
  const tellingMs = (connections: number): number =>
    assumed.fanOutMs + (assumed.fanOutMsPerHundred * connections) / 100;
  // The invoker is paid for while it waits.
  const waitingMs = invoked > 0 ? 1_000 * roomSeconds(participants, 1) : 0;
  /** What a large room takes in addition: the reader's invocation, an item that is written and deleted, a look, and a message that is sent, received and deleted. */
  const lane: Bill = plus([
    invocation(assumed.functionMs, FAN_OUT_GB),
    {
      ...NOTHING,
      DynamoDB: 2 * PRICES.writeUnit.dollars + PRICES.readUnit.dollars,
      SQS: 3 * PRICES.fifoRequest.dollars,
    },
  ]);
  /** One event to everybody: it gets its number, and the connections are read, 0.4 KB each, and posted to. */
  const fanOut: Bill = plus([
    invocation(Math.max(tellingMs(own), waitingMs), FAN_OUT_GB),
    times(invoked, invocation(tellingMs(batch), FAN_OUT_GB)),
    {
      ...NOTHING,
      DynamoDB: Math.ceil((participants * 0.4) / 4) * PRICES.readUnit.dollars + PRICES.writeUnit.dollars,
    },
    gateway(participants * PRICES.socketMessage.dollars),
    ...(participants > MAX_POSTS_HERE ? [lane] : []),
    { ...NOTHING, traffic: ((participants * assumed.messageBytes) / GB) * PRICES.egressGb.dollars },
  ]);
  // Kept for a year.
  const storage: Bill = { ...NOTHING, storage: (assumed.storedBytes / GB) * PRICES.storageGbMonth.dollars * 12 };

  // What comes while a batch is delivered is the next batch, and one post to each receiver.
  const together = Math.max(1, (messages / 3_600) * roundSeconds(participants));
  const message = plus([frame('message'), times(1 / together, fanOut), storage]);
  const room = plus([http('createRoom, with 10 others and a key'), http('endRoom, in an hour'), times(2, fanOut)]);
  /** What a participant does once: finds the room, sets the profile, connects, joins, leaves. */
  const visit = plus([
    http('listRooms, page of 50'),
    http('getRoom'),
    http('listParticipants, page of 50'),
    http('listMessages, page of 50'),
    http('updateProfile'),
    // Authorizer, $connect, $disconnect.
    times(3, invocation(assumed.functionMs, MEMORY_GB)),
    frame('join, rooms.v2'),
    frame('leave'),
    // Others see them come, set their name, and go.
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

/** Dollars a month, whether anybody is there or not. */
export const kubernetesFloor = (): number => sum(KUBERNETES.map(({ count, dollars }) => count * dollars));
