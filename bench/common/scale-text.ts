import type { SubProtocol } from '../../core/contract/sub-protocols.ts';
import { invocationsAtOnce } from '../../core/realtime/pace.ts';
import {
  aloneSeconds,
  type Delay,
  deliveryDelay,
  digestPosts,
  joinPosts,
  LIMITS,
  loadsOf,
  POSTS_A_SECOND,
  partitionHeat,
  roomPosts,
  roomSeconds,
  STREAM_SECONDS,
  shardDelay,
  shares,
  storage,
  WORKLOADS,
  type Workload,
} from './scale-model.ts';
import { markdownTable } from './table.ts';

/** The command that writes this section. */
export const PROGRAM = 'npm run bench:scale';

const whole = (value: number): string => Math.round(value).toLocaleString('en');
const figure = (value: number): string => (value >= 10 ? whole(value) : String(Math.round(value * 100) / 100));
const share = (value: number): string => (value >= 10 ? `${whole(value)} ×` : `${figure(value * 100)} %`);

function loads(workload: Workload): string {
  return markdownTable(
    ['limit, per second', 'load', 'limit', 'share'],
    loadsOf(workload)
      .filter(({ load }) => load > 0)
      .map(({ limit, load, share: of }) => [
        `[${LIMITS[limit].what}](${LIMITS[limit].source})`,
        figure(load),
        whole(LIMITS[limit].value),
        share(of),
      ]),
  );
}

const seconds = (value: number): string => (value < 1 ? `${whole(value * 1_000)} ms` : `${figure(value)} s`);

const delayed = (delay: Delay | undefined): string =>
  delay ? `${seconds(delay.median)}; ${seconds(delay.p99)}` : 'never catches up';

function delays(protocol: SubProtocol): string {
  const sizes = [2, 10, 50, 100, 300, 1_000, 10_000];
  const rates = [60, 1_000, 10_000, 100_000];
  return markdownTable(
    ['participants', ...rates.map((rate) => `${whole(rate)} messages per hour`)],
    sizes.map((size) => [whole(size), ...rates.map((rate) => delayed(deliveryDelay(protocol, size, rate)))]),
  );
}

function posts(): string {
  const rates = [1_000, 10_000, 36_000, 100_000];
  const cell = (protocol: SubProtocol, rate: number): string => {
    const each = roomPosts(protocol, 1_000, rate);
    return each === undefined ? 'never catches up' : whole(each);
  };
  return markdownTable(
    ['messages per hour', 'rooms.v1', 'rooms.v2'],
    rates.map((rate) => [whole(rate), cell('rooms.v1', rate), cell('rooms.v2', rate)]),
  );
}

function largeRooms(): string {
  return markdownTable(
    ['participants', 'by one invocation', 'in batches', 'invocations', 'posts of the busiest'],
    [100, 999, 1_000, 2_000, 5_000, 10_000, 50_000].map((participants) => {
      const { batch, invoked, own } = shares(participants, 1);
      return [
        whole(participants),
        seconds(aloneSeconds(participants, 1)),
        invoked > 0 ? seconds(roomSeconds(participants, 1)) : '',
        1 + invoked,
        whole(invoked > 0 ? Math.max(batch, own) : own),
      ];
    }),
  );
}

function shards(workload: Workload, partitions: number): string {
  return markdownTable(
    ['partitions', 'posts per second, each', 'share of one invocation', 'latency: p50; p99'],
    [partitions, 1.5 * partitions, 2 * partitions, 4 * partitions].map((count) => {
      const { posts, delay } = shardDelay(workload, count);
      return [whole(count), whole(posts), `${whole((100 * posts) / POSTS_A_SECOND)} %`, delayed(delay)];
    }),
  );
}

/** Returns the figures of docs/operate/scale.md. */
export function scaleText(): string {
  const [many, users] = WORKLOADS;
  if (!many || !users) throw new Error('There are no workloads.');
  const heat = partitionHeat(many);
  const stored = storage(users);
  return [
    ...WORKLOADS.flatMap((workload) => [`### ${workload.name}`, loads(workload)]),
    '### Distribution of rooms over partitions',
    `The chats of 1,000,000 rooms need ${whole(heat.partitions * heat.mean)} write units per second, distributed by the hash of their ` +
      `keys over ${heat.partitions} partitions, twice the minimum. A partition can take 1,000 units. The average partition takes ` +
      `${whole(heat.mean)}, and the busiest partition in the busiest of 60 seconds ${whole(heat.hottest)}.`,
    '### Storage of users',
    `100,000,000 users with ${users.roomsAUser} rooms each need ${whole(stored.gigabytes)} GB for participants in the table and ` +
      `its index: at least ${stored.partitions} partitions by size. The rooms of a user are one key of the index, which can take 1,000 ` +
      'additions of this user per second.',
    '### Duration of a message in a large room',
    `From reading the message in the stream to the last post. One invocation makes ${whole(POSTS_A_SECOND)} posts per second. Batches ` +
      `have 500 connections, and ${invocationsAtOnce()} run at the same time beside the first. One room uses at most a quarter of the default quota of ` +
      `${whole(LIMITS.gatewayRequests.value)} requests per second, which decides in the largest rooms.`,
    largeRooms(),
    '### Latency of a message in one room',
    'From storing the message to the last receiver: p50; p99. The room has a shard of the stream to itself. ' +
      'Because of the order of messages, only one batch is delivered at a time. The stream alone takes ' +
      `${seconds(STREAM_SECONDS.median)}; ${seconds(STREAM_SECONDS.p99)} ([measured](https://bitesizedserverless.com/bite/serverless-messaging-latency-compared/)). ` +
      'All connections speak `rooms.v2`:',
    delays('rooms.v2'),
    'All connections speak `rooms.v1`:',
    delays('rooms.v1'),
    '### Posts of one busy room',
    'Posts per second of a room with 1,000 receivers. With `rooms.v2`, messages that wait for each other are one post.',
    posts(),
    '### Latency of a message with 1,000,000 rooms',
    'The rooms share the shards, one per partition. Each shard gives one batch of at most 100 messages at a time to its reader.',
    shards(many, heat.partitions),
    '### Posts for joins',
    `If each join is sent to all connected participants, as with \`rooms.v1\` in smaller rooms, and 10,000 users join one room, that is ` +
      `${whole(joinPosts(10_000))} posts, ${whole(joinPosts(10_000) / LIMITS.gatewayRequests.value / 60)} minutes of the account's default ` +
      `quota. For 1,000 users it is ${whole(joinPosts(1_000) / LIMITS.gatewayRequests.value)} seconds. ` +
      `With \`rooms.v2\`, 10,000 joins in a minute are ${whole(digestPosts(10_000, 60))} posts, and 1,000 joins ${whole(digestPosts(1_000, 60))}.`,
  ].join('\n\n');
}
