import { MAX_PACKED_BYTES } from '../../core/contract/limits.ts';
import type { SubProtocol } from '../../core/contract/sub-protocols.ts';
import { batchSize } from '../../core/realtime/batches.ts';
import { MAX_POSTS_HERE } from '../../core/realtime/broadcast.ts';
import { digestSeconds, EACH_UP_TO } from '../../core/realtime/digest-mode.ts';
import { ROUND_MS } from '../../core/realtime/lane.ts';
import { invocationsAtOnce, postsPerSecondOfRoom } from '../../core/realtime/pace.ts';
import { memoryOf } from '../../lib/memory.ts';
import { unitsOf } from '../../test/fixtures/samples.ts';
import { shareOf } from './cpu-share.ts';
import { ascending, quantile, sum } from './numbers.ts';
import { randomFrom } from './random.ts';

/*
 * A model of the load at scale, from capacity units that tests verify and from AWS's documented limits. Rates are per
 * second.
 */

/** AWS's documented limits. The adjustable ones are marked. */
export const LIMITS = {
  partitionWrites: {
    value: 1_000,
    what: 'write units of a partition',
    source: 'https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html',
  },
  partitionReads: {
    value: 3_000,
    what: 'read units of a partition',
    source: 'https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html',
  },
  tableWrites: {
    value: 40_000,
    what: 'write units of a table on demand (can be raised)',
    source: 'https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html',
  },
  tableReads: {
    value: 40_000,
    what: 'read units of a table on demand (can be raised)',
    source: 'https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html',
  },
  newConnections: {
    value: 500,
    what: 'new WebSockets of an account (can be raised)',
    source:
      'https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html',
  },
  gatewayRequests: {
    value: 10_000,
    what: 'requests, frames and posts to connections of an account (can be raised)',
    source: 'https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html',
  },
  concurrency: {
    value: 1_000,
    what: 'invocations at the same time (can be raised)',
    source: 'https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html',
  },
} as const;

export type Limit = keyof typeof LIMITS;

/** How users use the system. */
export interface Workload {
  readonly name: string;
  readonly rooms: number;
  /** Participants per room, all connected. */
  readonly participants: number;
  /** Messages per room and hour. */
  readonly messages: number;
  /** Number of users, and how often each of them lists rooms per day. */
  readonly users: number;
  readonly listingsADay: number;
  /** Rooms to which each user was added. Determines the storage. */
  readonly roomsAUser: number;
  /** New connections per second. */
  readonly connects: number;
}

const HOUR = 3_600;
const DAY = 24 * HOUR;
/** The size of a connection item, in KB. */
const CONNECTION_KB = 0.4;
/** The size of a participant in the table and in the index, in KB. */
const PARTICIPANT_KB = 0.35;
const INDEXED_KB = 0.25;
/** The load of the busiest hour of a day, relative to the average. */
const PEAK = 3;
const PARTITION_GB = 10;
/** Duration of a function, in seconds. */
const FUNCTION_SECONDS = 0.025;
/** CPU time of a post, in seconds, measured with `npm run bench:fanout -- --posts`. */
const POST_CPU_SECONDS = 0.0003;
/** The number of vCPUs of the functions that post. */
const PROCESSORS = shareOf(memoryOf('deliver-messages'));
/** Maximum posts per second of one invocation. */
export const POSTS_A_SECOND = Math.round(PROCESSORS / POST_CPU_SECONDS / 100) * 100;
/** Minimum response time of a post, in seconds. */
const POST_SECONDS = 0.02;
/** The time from the invocation to its first post, in seconds, which includes reading the first connections. */
const START_SECONDS = 0.02;
/** The time to read one connection, in seconds. */
const READ_SECONDS = 0.00001;
/** The time to invoke a warm function with a batch of 60 KB, in seconds. */
const INVOKE_SECONDS = 0.02;

/** How a room's connections are divided among invocations if each receives `frames` (core/realtime/broadcast.ts). */
export function shares(participants: number, frames: number): { batch: number; invoked: number; own: number } {
  const batch = batchSize(frames);
  const invoked = Math.max(0, Math.floor(participants / batch) - 1);
  return { batch, invoked, own: participants - invoked * batch };
}

/**
 * Seconds in which one invocation sends `frames` to each of its connections. Frames to the same connection are
 * sequential.
 */
const sendSeconds = (connections: number, frames: number): number =>
  Math.max((connections * frames) / POSTS_A_SECOND, frames * POST_SECONDS);

/** The burst of a room's post rate, in seconds of that rate (core/realtime/pace.ts). */
const BURST_SECONDS = 0.02;

/** Seconds for this many posts to one room at its maximum rate. */
const pacedSeconds = (posts: number): number => posts / postsPerSecondOfRoom() - BURST_SECONDS;

/** Seconds in which one invocation sends `frames` to everyone in a room. */
export const aloneSeconds = (participants: number, frames: number): number =>
  START_SECONDS +
  participants * READ_SECONDS +
  Math.max(sendSeconds(participants, frames), pacedSeconds(participants * frames));

/** The size of a packed event with a message of 100 characters, in bytes. */
const EVENT_BYTES = 500;

/** Returns the number of frames per connection for messages that are delivered together. */
const framesOf = (protocol: SubProtocol, messages: number): number =>
  protocol === 'rooms.v1' ? messages : Math.ceil((messages * EVENT_BYTES) / MAX_PACKED_BYTES);

/**
 * Pings of a client per hour. Every received frame postpones the next ping. Messages arrive randomly (Poisson process),
 * so a silence of `seconds` has the probability e^(-rate × seconds).
 */
function pingsAnHour(messages: number, seconds: number): number {
  if (messages === 0) return HOUR / seconds;
  return messages / Math.expm1((messages / HOUR) * seconds);
}

/** Seconds of silence after which a client sends a ping. */
export const PING_SECONDS: Readonly<Record<SubProtocol, number>> = { 'rooms.v1': 30, 'rooms.v2': 120 };
/** A client of `rooms.v2` sends a frame at least once in this many seconds, even if it receives frames. */
const SEND_SECONDS = 240;

/** Returns the pings per hour of a client of `rooms.v2` that sends no other frames. */
export const pingsOfClient = (messages: number, seconds: number): number =>
  Math.max(pingsAnHour(messages, seconds), HOUR / Math.max(SEND_SECONDS, seconds));

/** Seconds in which a room receives `frames`, limited by the room's post rate. Large rooms are divided into batches. */
export function roomSeconds(participants: number, frames: number): number {
  const { batch, invoked, own } = shares(participants, frames);
  const others = Math.ceil(invoked / invocationsAtOnce()) * (INVOKE_SECONDS + sendSeconds(batch, frames));
  const paced = pacedSeconds(participants * frames);
  return START_SECONDS + participants * READ_SECONDS + Math.max(sendSeconds(own, frames), others, paced);
}

/**
 * Seconds from the start of one delivery to a busy room to the start of the next one. A room with a lane
 * (core/realtime/lane.ts) waits longer, so that each frame has more events.
 */
export const roundSeconds = (participants: number): number =>
  participants > MAX_POSTS_HERE
    ? Math.max(roomSeconds(participants, 1), ROUND_MS / 1_000)
    : roomSeconds(participants, 1);

const perSecond = ({ rooms, messages }: Workload): number => (rooms * messages) / HOUR;

export interface Load {
  readonly limit: Limit;
  readonly load: number;
  /** Load divided by limit. */
  readonly share: number;
}

/** Write units of the checks of the sender's right: two each for the participant and a lock. */
const RIGHT_UNITS = 4;
/**
 * Write units of a message in the partition of its chat. The counters of the sender's frames and of the room's messages
 * are in other partitions.
 */
const chatUnits = (): number => unitsOf('message').wcu - RIGHT_UNITS - 2;

/** The loads of a workload on each limit, highest relative load first. */
export function loadsOf(workload: Workload): readonly Load[] {
  const { rooms, participants, messages, users, listingsADay, connects } = workload;
  const sent = perSecond(workload);
  const posts = sent * participants;
  const [message, listing, join] = [unitsOf('message'), unitsOf('listRooms, page of 50'), unitsOf('join')];
  const listings = (PEAK * users * listingsADay) / DAY;
  const fanOutReads = (participants * CONNECTION_KB) / 4;
  // In a room, the chat is one partition key. The room's item, participants and connections are another.
  const ofRoom = messages / HOUR;
  // Messages that arrive during a delivery are delivered together, so the connections are read at most once per round.
  const fanOuts = Math.min(ofRoom, 1 / roundSeconds(participants));
  const connectsToRoom = connects / rooms;
  const pings = (rooms * participants * pingsOfClient(messages, PING_SECONDS['rooms.v2'])) / HOUR;
  const ping = unitsOf('ping, with numbers');
  const loads: Record<Limit, number> = {
    // The checks of the sender's right and the room's message counter are in the room's partition.
    partitionWrites: Math.max(
      ofRoom * chatUnits(),
      ofRoom * (RIGHT_UNITS + 1) + fanOuts + connectsToRoom * (join.wcu - 1),
    ),
    partitionReads: ofRoom * message.rcu + fanOuts * fanOutReads + connectsToRoom * join.rcu,
    // Numbering a batch takes one write.
    tableWrites: sent * message.wcu + rooms * fanOuts + connects * join.wcu + pings * ping.wcu,
    tableReads:
      sent * message.rcu +
      rooms * fanOuts * fanOutReads +
      listings * listing.rcu +
      connects * join.rcu +
      pings * ping.rcu,
    newConnections: connects,
    gatewayRequests: posts + 2 * sent + pings + listings + 2 * connects,
    concurrency: (sent + pings + listings) * FUNCTION_SECONDS + posts / POSTS_A_SECOND,
  };
  return (Object.keys(loads) as Limit[])
    .map((limit) => ({ limit, load: loads[limit], share: loads[limit] / LIMITS[limit].value }))
    .sort((a, b) => b.share - a.share);
}

export const WORKLOADS: readonly Workload[] = [
  {
    name: '1,000,000 rooms at the same time',
    rooms: 1_000_000,
    participants: 10,
    messages: 60,
    users: 0,
    listingsADay: 0,
    roomsAUser: 10,
    // Each connection lasts one hour.
    connects: (1_000_000 * 10) / HOUR,
  },
  {
    name: '100,000,000 users',
    rooms: 1,
    participants: 0,
    messages: 0,
    users: 100_000_000,
    listingsADay: 5,
    roomsAUser: 10,
    connects: 0,
  },
  {
    name: 'one room of 100 with 100,000 messages an hour',
    rooms: 1,
    participants: 100,
    messages: 100_000,
    users: 0,
    listingsADay: 0,
    roomsAUser: 1,
    connects: 0,
  },
  {
    name: 'one room of 10,000 with 100,000 messages an hour, all of whom join within a minute',
    rooms: 1,
    participants: 10_000,
    messages: 100_000,
    users: 0,
    listingsADay: 0,
    roomsAUser: 1,
    connects: 10_000 / 60,
  },
];

/** The gigabytes of all participant items in table and index, and the required number of partitions. */
export function storage({ users, roomsAUser }: Workload): { gigabytes: number; partitions: number } {
  const gigabytes = (users * roomsAUser * (PARTICIPANT_KB + INDEXED_KB)) / 1e6;
  return { gigabytes, partitions: Math.ceil(gigabytes / PARTITION_GB) };
}

/**
 * A random number from a Poisson distribution with this mean (Knuth's algorithm, or the normal distribution for large
 * means).
 */
function poisson(mean: number, random: () => number): number {
  if (mean > 50)
    return Math.max(
      0,
      Math.round(mean + Math.sqrt(mean) * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())),
    );
  const end = Math.exp(-mean);
  let product = random();
  let count = 0;
  while (product > end) {
    product *= random();
    count++;
  }
  return count;
}

/**
 * Simulates how the messages of many rooms are spread over a table's partitions by the hash of their keys. Returns the
 * write units per second of the average partition, and of the busiest partition in its busiest second.
 */
export function partitionHeat(workload: Workload, seconds = 60): { partitions: number; mean: number; hottest: number } {
  const random = randomFrom(1);
  const units = chatUnits();
  const total = perSecond(workload) * units;
  // DynamoDB splits a partition near its limit, so there are at least twice as many as necessary.
  const partitions = Math.ceil((2 * total) / LIMITS.partitionWrites.value);
  let hottest = 0;
  const mean = total / partitions;
  // The number of rooms per partition is random, too.
  const rooms = Array.from({ length: partitions }, () => poisson(workload.rooms / partitions, random));
  for (let second = 0; second < seconds; second++)
    for (const count of rooms) hottest = Math.max(hottest, units * poisson((count * workload.messages) / HOUR, random));
  return { partitions, mean, hottest };
}

/** Lambda passes at most this many records of a shard to one invocation (lib/constructs/stream-reader.ts). */
const BATCH = 100;
/**
 * From a write to the function's start with its stream record: measured median and p99, with a log-normal distribution
 * assumed (https://bitesizedserverless.com/bite/serverless-messaging-latency-compared/, 1,024 records, September 2022,
 * eu-west-1).
 */
export const STREAM_SECONDS = { median: 0.213, p99: 0.552 };
const STREAM_SIGMA = Math.log(STREAM_SECONDS.p99 / STREAM_SECONDS.median) / 2.326;

function streamSeconds(random: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return STREAM_SECONDS.median * Math.exp(STREAM_SIGMA * normal);
}

/** Seconds from storing a message until its last receiver has it. */
export interface Delay {
  readonly median: number;
  readonly p99: number;
}

/**
 * Simulates messages that arrive at random, `rate` per second. One invocation runs at a time, like for the shards of
 * a stream, and takes all messages that have arrived since, up to a full batch. Returns undefined if more messages
 * arrive than can be delivered.
 *
 * @param batchSeconds returns the duration of a batch
 */
function queued(
  rate: number,
  batchSeconds: (messages: number) => number,
  // Enough messages to determine p99.
  seconds = Math.max(600, 2_000 / rate),
): Delay | undefined {
  if (rate * batchSeconds(BATCH) >= BATCH) return undefined;
  const random = randomFrom(2);
  const arrivals: number[] = [];
  for (let time = 0; time < seconds; time += -Math.log(1 - random()) / rate) arrivals.push(time);
  // The stream preserves the order of messages.
  let last = 0;
  const read = arrivals.map((time) => {
    last = Math.max(last, time + streamSeconds(random));
    return last;
  });
  const delays: number[] = [];
  let free = 0;
  for (let next = 0; next < arrivals.length; ) {
    const begin = Math.max(read[next] ?? 0, free);
    let end = next;
    while (end < arrivals.length && end - next < BATCH && (read[end] ?? 0) <= begin) end++;
    free = begin + batchSeconds(end - next);
    for (; next < end; next++) delays.push(free - (arrivals[next] ?? 0));
  }
  const sorted = ascending(delays);
  return { median: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
}

/** The delay of messages of one room that has its own shard. */
export const deliveryDelay = (protocol: SubProtocol, participants: number, messagesAnHour: number): Delay | undefined =>
  queued(messagesAnHour / HOUR, (messages) => roomSeconds(participants, framesOf(protocol, messages)));

/** Posts per second to one room whose connections all speak `protocol`. Undefined if deliveries never catch up. */
export function roomPosts(protocol: SubProtocol, participants: number, messagesAnHour: number): number | undefined {
  const rate = messagesAnHour / HOUR;
  if (!deliveryDelay(protocol, participants, messagesAnHour)) return undefined;
  // Messages that arrive during a delivery form the next batch.
  const batches = Math.min(rate, 1 / roomSeconds(participants, framesOf(protocol, Math.max(1, rate))));
  return participants * (protocol === 'rooms.v1' ? rate : batches * framesOf(protocol, rate / batches));
}

/**
 * The delay of messages of many small rooms, which share the shards of the table's stream, one per partition. One
 * invocation delivers all messages of a batch. They do not wait for other rooms' connections, but they share the CPU.
 */
export function shardDelay(workload: Workload, partitions: number): { posts: number; delay: Delay | undefined } {
  const { participants } = workload;
  const rate = perSecond(workload) / partitions;
  const delay = queued(rate, (messages) => START_SECONDS + sendSeconds(messages * participants, 1), 300);
  return { posts: rate * participants, delay };
}

/**
 * The number of presence posts if everyone joins a room with `rooms.v2`, evenly within `seconds`. Small numbers of
 * users are sent as one post per stream batch, larger ones as digests.
 */
export function digestPosts(participants: number, seconds: number): number {
  const rate = participants / seconds;
  let posts = 0;
  for (let time = 0; ; ) {
    const online = Math.floor(time * rate);
    if (online >= participants) return posts + participants;
    posts += online;
    // The next stream batch notes the change, and the digest follows after its delay.
    const batch = Math.max(1 / BATCHES_A_SECOND, 1 / rate);
    time += batch + (online <= EACH_UP_TO ? 0 : digestSeconds(online));
  }
}

/** How often per second Lambda polls a shard. */
const BATCHES_A_SECOND = 4;

/**
 * The number of presence events if everyone joins a room one after the other: each join is sent to everyone already
 * there.
 */
export const joinPosts = (participants: number): number => sum(Array.from({ length: participants }, (_, n) => n));
