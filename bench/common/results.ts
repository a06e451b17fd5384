import * as v from 'valibot';

/* The results of the benchmarks, as `npm run bench` writes them to docs/operate/performance/results.json. */

const start = v.object({
  name: v.string(),
  kind: v.picklist(['reference', 'http', 'websocket', 'event', 'background', 'step']),
  bytes: v.number(),
  load: v.number(),
  invoke: v.number(),
  total: v.number(),
  cpu: v.number(),
  invokeRatio: v.number(),
  ratio: v.number(),
  cpuRatio: v.number(),
});
const setting = v.object({
  memory: v.number(),
  init: v.number(),
  first: v.number(),
  start: v.number(),
  warm: v.number(),
  warmP95: v.number(),
  used: v.number(),
  dollars: v.number(),
});
const memory = v.object({
  name: v.string(),
  entry: v.string(),
  settings: v.array(setting),
  chosen: v.number(),
});
const split = v.object({
  request: v.number(),
  write: v.number(),
  stream: v.number(),
  'fan-out': v.number(),
  post: v.number(),
});
const latency = v.object({
  receivers: v.number(),
  p50: v.number(),
  p99: v.number(),
  parts: split,
  model: v.object({ p50: v.number(), p99: v.number(), parts: split }),
});
const deploy = v.object({
  functions: v.number(),
  bytes: v.number(),
  uploadBytes: v.number(),
  bundleMs: v.number(),
  bundleAgainMs: v.number(),
  synthMs: v.number(),
  synthAgainMs: v.number(),
  readyMs: v.number(),
});
const warm = v.object({
  operation: v.string(),
  note: v.string(),
  handler: v.number(),
  bare: v.number(),
  ratio: v.number(),
  /** Bounds of the 95 % confidence interval. Missing in runs before 2026-11-27. */
  low: v.optional(v.number()),
  high: v.optional(v.number()),
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

/** The output of each benchmark with `--json`. */
export const outputs = {
  'cold-start': v.array(start),
  memory: v.array(memory),
  warm: v.array(warm),
  latency: v.array(latency),
  deploy,
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
  /**
   * Number of runnable processes at the start. More than `processors` means other load on the machine. Unknown for
   * results from a file.
   */
  busy: v.optional(v.number()),
  mode: v.picklist(['quick', 'default', 'full']),
});

export const results = v.object({
  measured,
  /** Measurement conditions of benchmarks that were repeated individually. */
  again: v.optional(v.record(v.string(), measured), {}),
  'cold-start': outputs['cold-start'],
  memory: outputs.memory,
  warm: outputs.warm,
  latency: outputs.latency,
  deploy: v.optional(outputs.deploy),
  cost: outputs.cost,
  fanout: outputs.fanout,
  throughput: outputs.throughput,
  price: outputs.price,
});

export type Results = v.InferOutput<typeof results>;
export type Benchmark = keyof typeof outputs;
