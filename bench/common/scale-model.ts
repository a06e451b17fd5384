import { MAX_PACKED_BYTES } from '../../core/contract/limits.ts';
import type { SubProtocol } from '../../core/contract/sub-protocols.ts';
import { batchSize } from '../../core/realtime/batches.ts';
import { MAX_POSTS_HERE } from '../../core/realtime/broadcast.ts';
import { digestSeconds, EACH_UP_TO } from '../../core/realtime/digest-mode.ts';
import { ROUND_MS } from '../../core/realtime/lane.ts';
import { invocationsAtOnce, postsPerSecondOfRoom } from '../../core/realtime/pace.ts';
import { memoryOf } from '../../lib/memory.ts';
import { unitsOf } from './budget.ts';
import { shareOf } from './cpu-share.ts';
import { ascending, quantile, sum } from './numbers.ts';
import { randomFrom } from './random.ts';

/*
 * What happens at scale, from the units that tests count and from AWS's documented limits. Rates are for a second.
 */

/** Documented limits. Those that AWS raises on request are marked. */
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

/** What users do. */
export interface Workload {
  readonly name: string;
  readonly rooms: number;
  /** Participants of each room, all connected. */
  readonly participants: number;
  /** Messages in each room and hour. */
  readonly messages: number;
  /** Users, and how often each of them lists rooms in a day. */
  readonly users: number;
  readonly listingsADay: number;
  /** Rooms that a user was added to: what is stored. */
  readonly roomsAUser: number;
  /** Connections that are made in a second. */
  readonly connects: number;
}

const HOUR = 3_600;
const DAY = 24 * HOUR;
/** A connection item, in KB. */
const CONNECTION_KB = 0.4;
/** A participant, in KB, in the table and in the index. */
const PARTICIPANT_KB = 0.35;
const INDEXED_KB = 0.25;
/** At its busiest hour, a day's load is this many times the average. */
const PEAK = 3;
const PARTITION_GB = 10;
/** Seconds that a function takes. */
const FUNCTION_SECONDS = 0.025;
/** What a post takes of a processor, in seconds: `npm run bench:fanout -- --posts`. */
export const POST_CPU_SECONDS = 0.0003;
/** What the functions that post have of a processor. */
const PROCESSORS = shareOf(memoryOf('deliver-messages'));
/** Posts that one invocation makes in a second. */
export const POSTS_A_SECOND = Math.round(PROCESSORS / POST_CPU_SECONDS / 100) * 100;
/** What a post takes until it is answered, in seconds, however little else there is to do. */
const POST_SECONDS = 0.02;
/** Before an invocation posts anything: it is woken, and reads the first connections. */
const START_SECONDS = 0.02;
/** For each connection that is read. */
const READ_SECONDS = 0.00001;
/** From the invocation with a batch until it begins: a warm environment, 60 KB. */
const INVOKE_SECONDS = 0.02;

/** How the connections of a room are shared out where each is sent `frames` (core/realtime/broadcast.ts). */
export function shares(participants: number, frames: number): { batch: number; invoked: number; own: number } {
  const batch = batchSize(frames);
  const invoked = Math.max(0, Math.floor(participants / batch) - 1);
  return { batch, invoked, own: participants - invoked * batch };
}

/** Seconds in which an invocation sends each of its connections so many frames: a connection takes one after the other. */
const tellSeconds = (connections: number, frames: number): number =>
  Math.max((connections * frames) / POSTS_A_SECOND, frames * POST_SECONDS);

/** Seconds of its rate in which a room may be posted to without waiting (core/realtime/pace.ts). */
const BURST_SECONDS = 0.02;

/** Seconds in which a room is sent so many posts at the rate that it may be posted to. */
const pacedSeconds = (posts: number): number => posts / postsPerSecondOfRoom() - BURST_SECONDS;

/** Seconds in which a room is sent so many frames by one invocation. */
export const aloneSeconds = (participants: number, frames: number): number =>
  START_SECONDS +
  participants * READ_SECONDS +
  Math.max(tellSeconds(participants, frames), pacedSeconds(participants * frames));

/** A packed event, in bytes: a message of 100 characters. */
const EVENT_BYTES = 500;

/** Returns how many frames a connection is sent for so many messages that are delivered together. */
export const framesOf = (protocol: SubProtocol, messages: number): number =>
  protocol === 'rooms.v1' ? messages : Math.ceil((messages * EVENT_BYTES) / MAX_PACKED_BYTES);

/**
 * Pings of a client in an hour. Every frame it gets puts off the next one; messages come at random (a Poisson process), so that
 * a silence of `seconds` has the probability e^(-rate × seconds).
 */
export function pingsAnHour(messages: number, seconds: number): number {
  if (messages === 0) return HOUR / seconds;
  return messages / Math.expm1((messages / HOUR) * seconds);
}

/** Seconds of silence after which a client pings. */
export const PING_SECONDS: Readonly<Record<SubProtocol, number>> = { 'rooms.v1': 30, 'rooms.v2': 120 };
/** A client of `rooms.v2` sends a frame at least this often, whatever it receives, in seconds. */
export const SEND_SECONDS = 240;

/** Returns the pings of a client of `rooms.v2` in an hour that sends nothing else. */
export const pingsOfClient = (messages: number, seconds: number): number =>
  Math.max(pingsAnHour(messages, seconds), HOUR / Math.max(SEND_SECONDS, seconds));

/** Seconds in which a room is sent so many frames, in batches where it is large: at most at the rate that one room may be posted to. */
export function roomSeconds(participants: number, frames: number): number {
  const { batch, invoked, own } = shares(participants, frames);
  const others = Math.ceil(invoked / invocationsAtOnce()) * (INVOKE_SECONDS + tellSeconds(batch, frames));
  const paced = pacedSeconds(participants * frames);
  return START_SECONDS + participants * READ_SECONDS + Math.max(tellSeconds(own, frames), others, paced);
}

/**
 * Seconds from the beginning of one delivery to a busy room to that of the next one. A room with a lane (core/realtime/lane.ts) waits for more, so that
 * each frame has more events.
 */
export const roundSeconds = (participants: number): number =>
  participants > MAX_POSTS_HERE
    ? Math.max(roomSeconds(participants, 1), ROUND_MS / 1_000)
    : roomSeconds(participants, 1);

const perSecond = ({ rooms, messages }: Workload): number => (rooms * messages) / HOUR;

export interface Load {
  readonly limit: Limit;
  readonly load: number;
  /** Load over limit. */
  readonly share: number;
}

/** Write units of the conditions of the sender's right: the participant and a lock, two each. */
const RIGHT_UNITS = 4;
/** Write units of a message in its chat: without these, the count of the sender's frames and that of the room's messages. */
const chatUnits = (): number => unitsOf('message').wcu - RIGHT_UNITS - 2;

/** The loads of a workload against each limit, the heaviest first. */
export function loadsOf(workload: Workload): readonly Load[] {
  const { rooms, participants, messages, users, listingsADay, connects } = workload;
  const sent = perSecond(workload);
  const posts = sent * participants;
  const [message, listing, join] = [unitsOf('message'), unitsOf('listRooms, page of 50'), unitsOf('join')];
  const listings = (PEAK * users * listingsADay) / DAY;
  const fanOutReads = (participants * CONNECTION_KB) / 4;
  // One room: its chat is one partition key, its item, participants and connections are another.
  const ofRoom = messages / HOUR;
  // Messages that come while one is delivered are delivered together: no more than one read for each second of posting.
  const fanOuts = Math.min(ofRoom, 1 / roundSeconds(participants));
  const connectsToRoom = connects / rooms;
  const pings = (rooms * participants * pingsOfClient(messages, PING_SECONDS['rooms.v2'])) / HOUR;
  const ping = unitsOf('ping, with numbers');
  const loads: Record<Limit, number> = {
    // The conditions of the sender's right and the room's count of messages are in the room's partition.
    partitionWrites: Math.max(
      ofRoom * chatUnits(),
      ofRoom * (RIGHT_UNITS + 1) + fanOuts + connectsToRoom * (join.wcu - 1),
    ),
    partitionReads: ofRoom * message.rcu + fanOuts * fanOutReads + connectsToRoom * join.rcu,
    // Each batch is given numbers, one write.
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
    // Each stays an hour.
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

/** Gigabytes of the participants of all users, in table and index, and the partitions that hold them. */
export function storage({ users, roomsAUser }: Workload): { gigabytes: number; partitions: number } {
  const gigabytes = (users * roomsAUser * (PARTICIPANT_KB + INDEXED_KB)) / 1e6;
  return { gigabytes, partitions: Math.ceil(gigabytes / PARTITION_GB) };
}

/** A number of events that come at random with this mean (Knuth; the normal distribution where it is large). */
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
 * Spreads the messages of many rooms over the partitions that a table of that load has at least, by the hash of their keys, for
 * some seconds. Answers with the write units of the average and of the busiest partition in the busiest second.
 */
export function partitionHeat(workload: Workload, seconds = 60): { partitions: number; mean: number; hottest: number } {
  const random = randomFrom(1);
  const units = chatUnits();
  const total = perSecond(workload) * units;
  // DynamoDB splits a partition that is near its limit: it has twice as many as are needed at least.
  const partitions = Math.ceil((2 * total) / LIMITS.partitionWrites.value);
  let hottest = 0;
  const mean = total / partitions;
  // How many rooms a partition has differs, too.
  const rooms = Array.from({ length: partitions }, () => poisson(workload.rooms / partitions, random));
  for (let second = 0; second < seconds; second++)
    for (const count of rooms) hottest = Math.max(hottest, units * poisson((count * workload.messages) / HOUR, random));
  return { partitions, mean, hottest };
}

/** Lambda hands over at most this many records of a shard together, and no more before they are done (lib/constructs/stream-reader.ts). */
const BATCH = 100;
/**
 * From an item's being written until its record reaches the function: measured median and 99 in a hundred
 * (https://bitesizedserverless.com/bite/serverless-messaging-latency-compared/, 1,024 records, September 2022, eu-west-1), between which a log-normal
 * distribution is supposed.
 */
export const STREAM_SECONDS = { median: 0.213, p99: 0.552 };
const STREAM_SIGMA = Math.log(STREAM_SECONDS.p99 / STREAM_SECONDS.median) / 2.326;

function streamSeconds(random: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return STREAM_SECONDS.median * Math.exp(STREAM_SIGMA * normal);
}

/** Seconds from a message's being stored to its last receiver's having it. */
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
  // Enough of them for the slowest 1 %.
  seconds = Math.max(600, 2_000 / rate),
): Delay | undefined {
  if (rate * batchSeconds(BATCH) >= BATCH) return undefined;
  const random = randomFrom(2);
  const arrivals: number[] = [];
  for (let time = 0; time < seconds; time += -Math.log(1 - random()) / rate) arrivals.push(time);
  // The stream keeps their order.
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

/** Of the messages of one room that has a shard to itself. */
export const deliveryDelay = (protocol: SubProtocol, participants: number, messagesAnHour: number): Delay | undefined =>
  queued(messagesAnHour / HOUR, (messages) => roomSeconds(participants, framesOf(protocol, messages)));

/** Posts a second of one room that has so many messages an hour, all of whose connections speak a protocol. Undefined where it never catches up. */
export function roomPosts(protocol: SubProtocol, participants: number, messagesAnHour: number): number | undefined {
  const rate = messagesAnHour / HOUR;
  if (!deliveryDelay(protocol, participants, messagesAnHour)) return undefined;
  // Messages that come while a batch is delivered are the next one.
  const batches = Math.min(rate, 1 / roomSeconds(participants, framesOf(protocol, Math.max(1, rate))));
  return participants * (protocol === 'rooms.v1' ? rate : batches * framesOf(protocol, rate / batches));
}

/**
 * Of the messages of many small rooms, which share the shards of the table's stream, one for each of its partitions. Those of a
 * batch are told together, by one invocation: no message waits for the connections of another room, and all wait for the
 * processor.
 */
export function shardDelay(workload: Workload, partitions: number): { posts: number; delay: Delay | undefined } {
  const { participants } = workload;
  const rate = perSecond(workload) / partitions;
  const delay = queued(rate, (messages) => START_SECONDS + tellSeconds(messages * participants, 1), 300);
  return { posts: rate * participants, delay };
}

/**
 * Posts of presence when all of a room join one after the other, with `rooms.v2`, evenly in so many seconds: one for each batch of the stream
 * while each is named, and then digests.
 */
export function digestPosts(participants: number, seconds: number): number {
  const rate = participants / seconds;
  let posts = 0;
  for (let time = 0; ; ) {
    const online = Math.floor(time * rate);
    if (online >= participants) return posts + participants;
    posts += online;
    // A digest is due so many seconds after a change was noted, which the next batch of the stream does.
    const batch = Math.max(1 / BATCHES_A_SECOND, 1 / rate);
    time += batch + (online <= EACH_UP_TO ? 0 : digestSeconds(online));
  }
}

/** Lambda looks so often for new records of a shard. */
const BATCHES_A_SECOND = 4;

/** Events that are posted when all of a room join one after the other: each is told to those who are there already. */
export const joinPosts = (participants: number): number => sum(Array.from({ length: participants }, (_, n) => n));
