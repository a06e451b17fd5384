import {
  aloneSeconds,
  type Delay,
  deliveryDelay,
  joinPosts,
  LIMITS,
  loadsOf,
  POSTS_A_SECOND,
  partitionHeat,
  roomSeconds,
  shardDelay,
  shares,
  storage,
  WORKLOADS,
  type Workload,
} from './scale-model.ts';
import { markdownTable } from './table.ts';

/** The program that writes this, as its users know it. */
export const PROGRAM = 'npm run bench:scale';

const whole = (value: number): string => Math.round(value).toLocaleString('en');
const figure = (value: number): string => (value >= 10 ? whole(value) : String(Math.round(value * 100) / 100));
const share = (value: number): string => (value >= 10 ? `${whole(value)} ×` : `${figure(value * 100)} %`);

function loads(workload: Workload): string {
  return markdownTable(
    ['limit, a second', 'load', 'limit', 'share'],
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

function delays(): string {
  const sizes = [2, 10, 50, 100, 300, 1_000, 10_000];
  const rates = [60, 1_000, 10_000, 100_000];
  return markdownTable(
    ['participants', ...rates.map((rate) => `${whole(rate)} messages an hour`)],
    sizes.map((size) => [whole(size), ...rates.map((rate) => delayed(deliveryDelay(size, rate)))]),
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
    ['partitions', 'posts a second, each', 'of what one invocation makes', 'delay: median; 99 in a hundred'],
    [partitions, 1.5 * partitions, 2 * partitions, 4 * partitions].map((count) => {
      const { posts, delay } = shardDelay(workload, count);
      return [whole(count), whole(posts), `${whole((100 * posts) / POSTS_A_SECOND)} %`, delayed(delay)];
    }),
  );
}

/** The figures of docs/operate/scale.md. */
export function scaleText(): string {
  const [many, users] = WORKLOADS;
  if (!many || !users) throw new Error('There are no workloads.');
  const heat = partitionHeat(many);
  const stored = storage(users);
  return [
    ...WORKLOADS.flatMap((workload) => [`### ${workload.name}`, loads(workload)]),
    '### How evenly rooms lie',
    `The chats of 1,000,000 rooms make ${whole(heat.partitions * heat.mean)} write units a second. Spread by the hash of their ` +
      `keys over ${heat.partitions} partitions, which is twice as many as must be there, the average partition has ` +
      `${whole(heat.mean)} of 1,000, and the busiest in the busiest of sixty seconds ${whole(heat.hottest)}.`,
    '### What users take',
    `100,000,000 users with ${users.roomsAUser} rooms each are ${whole(stored.gigabytes)} GB of participants, in the table and ` +
      `its index: at least ${stored.partitions} partitions by size. A user's rooms are one key of the index: a user who is added ` +
      'to more than 1,000 rooms in a second would heat it, and nobody is.',
    '### What a large room takes',
    `One message to all, from its being taken from the stream: by an invocation that makes ${whole(POSTS_A_SECOND)} posts a ` +
      'second, and in batches of 500 by several, twelve at a time. Where there are many, it is the default quota of ' +
      `${whole(LIMITS.gatewayRequests.value)} posts a second that is waited for.`,
    largeRooms(),
    '### How late a message is',
    'From its being stored to the last receiver: median, and 99 in a hundred. One room that has a shard of the stream to ' +
      'itself, and the quota of posts as well; its order lets only one batch be delivered at a time.',
    delays(),
    '### How late a message is with a million rooms',
    'They share the shards, one a partition, each of which gives one batch at a time to its reader, of a hundred messages at most.',
    shards(many, heat.partitions),
    '### Who comes and goes',
    `That somebody has come is told to all who are there. When 10,000 join one room, that is ${whole(joinPosts(10_000))} posts, ` +
      `${whole(joinPosts(10_000) / LIMITS.gatewayRequests.value / 60)} minutes of the account's default quota; for 1,000 it is ` +
      `${whole(joinPosts(1_000) / LIMITS.gatewayRequests.value)} seconds.`,
  ].join('\n\n');
}
