import * as v from 'valibot';

/*
 * What the benchmarks find, as `npm run bench` writes it to docs/operate/performance/results.json.
 */

const start = v.object({
  name: v.string(),
  kind: v.picklist(['reference', 'function', 'step']),
  bytes: v.number(),
  load: v.number(),
  invoke: v.number(),
  total: v.number(),
  cpu: v.number(),
  ratio: v.number(),
  cpuRatio: v.number(),
});
const warm = v.object({
  operation: v.string(),
  note: v.string(),
  handler: v.number(),
  bare: v.number(),
  ratio: v.number(),
});
const cost = v.object({
  operation: v.string(),
  kind: v.picklist(['http', 'websocket']),
  note: v.string(),
  scale: v.object({ participants: v.number(), rooms: v.number(), messages: v.number() }),
  trips: v.number(),
  requests: v.number(),
  rcu: v.number(),
  wcu: v.number(),
});
const fanout = v.object({
  connections: v.number(),
  invocations: v.number(),
  first: v.number(),
  p50: v.number(),
  p99: v.number(),
  last: v.number(),
  cpu: v.number(),
  memory: v.number(),
});
const throughput = v.object({
  requestsASecond: v.number(),
  p50: v.number(),
  p99: v.number(),
  failed: v.number(),
  time: v.array(v.object({ part: v.string(), share: v.number() })),
});
const price = v.object({
  prices: v.string(),
  assumed: v.record(v.string(), v.number()),
  thousandRoomHours: v.number(),
  millionMessages: v.number(),
  kubernetesMonth: v.number(),
  roomHoursForTheFloor: v.number(),
});

/** What each benchmark prints with `--json`. */
export const outputs = {
  'cold-start': v.array(start),
  warm: v.array(warm),
  cost: v.array(cost),
  fanout: v.array(fanout),
  throughput,
  price,
} as const;

const measured = v.object({
  at: v.string(),
  node: v.string(),
  processor: v.string(),
  processors: v.number(),
  /** Processes that waited for a processor when it began: above `processors`, others were at work too. */
  busy: v.number(),
  mode: v.picklist(['quick', 'default', 'full']),
});

export const results = v.object({
  measured,
  /** Of benchmarks that were run by themselves since. */
  again: v.optional(v.record(v.string(), measured), {}),
  'cold-start': outputs['cold-start'],
  warm: outputs.warm,
  cost: outputs.cost,
  fanout: outputs.fanout,
  throughput: outputs.throughput,
  price: outputs.price,
});

export type Results = v.InferOutput<typeof results>;
export type Benchmark = keyof typeof outputs;
