import { PARTS } from './latency-model.ts';
import { median, rounded } from './numbers.ts';
import type { Results } from './results.ts';
import { startCells } from './start-cells.ts';
import { type Cell, markdownTable, textTable } from './table.ts';

/** The command that writes the figures of docs/operate/performance/README.md. */
export const PROGRAM = 'npm run bench';

const REFERENCES = 'reference';

const HEAD = ['function', 'KB', 'first request', 'start', 'start: CPU', 'warm', '95 %', 'trips', 'RCU', 'WCU'];

/** The kinds of our functions, without references and steps. */
const KINDS: readonly string[] = ['http', 'websocket', 'event', 'background'];

/** One row per endpoint: bundle size, cold start, warm duration, and cost in the largest room. */
function endpoints(found: Results): Cell[][] {
  const largest = Math.max(...found.cost.map(({ scale }) => scale.participants));
  return found['cold-start']
    .filter(({ kind }) => KINDS.includes(kind))
    .map(({ name, bytes, invokeRatio, ratio, cpuRatio }) => {
      const warm = found.warm.find(({ operation }) => operation === name);
      const cost = found.cost.find(({ operation, scale }) => operation === name && scale.participants === largest);
      return [
        name,
        rounded(bytes / 1_000),
        ...[invokeRatio, ratio, cpuRatio].map((each) => each.toFixed(2)),
        warm ? warm.ratio.toFixed(2) : '',
        warm?.low === undefined || warm.high === undefined ? '' : `${warm.low.toFixed(2)} to ${warm.high.toFixed(2)}`,
        cost?.trips ?? '',
        cost ? rounded(cost.rcu, 1) : '',
        cost ? rounded(cost.wcu, 1) : '',
      ];
    });
}

const starts = (found: Results, kind: 'reference' | 'step'): Cell[][] =>
  found['cold-start'].filter((each) => each.kind === kind).map(startCells);
const START_HEAD = [
  'variant',
  'KB',
  'INIT, ms',
  'first request, ms',
  'ratio',
  'start, ms',
  'ratio',
  'CPU, ms',
  'ratio',
];

/** The median and the largest ratio of all functions' first requests. */
function firstRequests(found: Results): string {
  const functions = found['cold-start'].filter(({ kind }) => KINDS.includes(kind) && kind !== 'background');
  const worst = functions.reduce((a, b) => (b.invokeRatio > a.invokeRatio ? b : a));
  const middle = median(functions.map(({ invokeRatio }) => invokeRatio));
  return (
    `The first request takes ${middle.toFixed(2)} of the bare function's with the median function, and ` +
    `${worst.invokeRatio.toFixed(2)} with the slowest, ${worst.name}, but for those that run in the background.`
  );
}

const memory = (found: Results): Cell[][] =>
  found.memory.map(({ name, settings, chosen }) => {
    const [of, fastest] = [
      settings.find((setting) => setting.memory === chosen),
      Math.min(...settings.map(({ start }) => start)),
    ];
    return [
      name,
      chosen,
      of?.init ?? '',
      of?.start ?? '',
      fastest,
      of?.warm ?? '',
      Math.min(...settings.map(({ warm }) => warm)),
      of?.dollars.toFixed(2) ?? '',
      ...settings.map(({ dollars }) => dollars.toFixed(2)),
    ];
  });
const memoryHead = (found: Results): string[] => [
  'function',
  'MB',
  'INIT, ms',
  'start, ms',
  'fastest',
  'warm, ms',
  'fastest',
  '$ per million',
  ...(found.memory[0]?.settings.map((setting) => `${setting.memory} MB`) ?? []),
];

const latency = (found: Results): Cell[][] =>
  found.latency.flatMap(({ receivers, p50, p99, parts, model }) => [
    [`${receivers}, local stack`, p50, p99, ...PARTS.map((part) => parts[part])],
    [`${receivers}, AWS (model)`, model.p50, model.p99, ...PARTS.map((part) => model.parts[part])],
  ]);
const LATENCY_HEAD = ['receivers', 'p50, ms', 'p99', ...PARTS];

/** A heading with its text, or nothing if there are no results. */
const section = (heading: string, results: readonly unknown[] | object | undefined, text: () => string): string[] =>
  results === undefined || (Array.isArray(results) && results.length === 0) ? [] : [heading, text()].filter(Boolean);

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
const deployment = ({ deploy }: Results): string =>
  deploy === undefined
    ? ''
    : `${deploy.functions} functions, ${(deploy.bytes / 1e6).toFixed(2)} MB, of which ${(deploy.uploadBytes / 1e6).toFixed(2)} MB are uploaded (compressed). ` +
      `Bundling takes ${seconds(deploy.bundleMs)}, or ${seconds(deploy.bundleAgainMs)} if nothing has changed; \`cdk synth\` ${seconds(deploy.synthMs)}, ` +
      `or ${seconds(deploy.synthAgainMs)}; \`npm start\` until it is ready, ${seconds(deploy.readyMs)}.`;

const fanout = (found: Results): Cell[][] =>
  found.fanout.map(({ connections, invocations, first, p50, p99, last, cpu, memory }) => [
    connections,
    invocations,
    ...[first, p50, p99, last, cpu, memory].map((value) => rounded(value)),
  ]);
const FANOUT_HEAD = [
  'connections',
  'invocations',
  'first, ms',
  'p50',
  'p99',
  'last',
  'busiest: CPU, ms',
  'largest: MB',
];

function flat({ cost }: Results): string {
  const sizes = [...new Set(cost.map(({ scale }) => scale.participants))].sort((a, b) => a - b);
  const [larger, largest] = sizes.slice(-2);
  const key = ({ operation, note, trips, requests, rcu, wcu }: Results['cost'][number]) =>
    JSON.stringify([operation, note, trips, requests, rcu, wcu]);
  const of = (size: number | undefined) => cost.filter(({ scale }) => scale.participants === size).map(key);
  const before = new Set(of(larger));
  const dearer = of(largest).filter((each) => !before.has(each));
  return dearer.length === 0
    ? `Every call costs the same in a room of ${largest?.toLocaleString('en')} as in one of ${larger?.toLocaleString('en')}.`
    : `${dearer.length} calls cost more in a room of ${largest} than in one of ${larger}.`;
}

const prices = ({ price }: Results): string =>
  `1,000 room-hours of ${price.assumed.participants} participants and ${price.assumed.messages} messages: ` +
  `$${price.thousandRoomHours.toFixed(2)}; 1,000,000 messages to ${price.assumed.participants}: ` +
  `$${price.millionMessages.toFixed(2)}. An idle cluster of five services: $${price.kubernetesMonth.toFixed(2)} a month, or ` +
  `${price.roomHoursForTheFloor.toLocaleString('en')} room-hours. Prices of ${price.prices}, us-east-1 (\`npm run bench:price\`).`;

const load = ({ throughput }: Results): string =>
  `${throughput.requestsASecond} requests a second, p50 ${throughput.p50} ms, p99 ${throughput.p99} ms, ` +
  `${throughput.failed} failed.`;

const loadAtStart = (busy: number, processors: number): string =>
  `, load ${busy.toFixed(1)} at the start${busy > processors ? ' (others were at work: wall times say little)' : ''}`;

const machine = ({ at, node, processors, processor, busy }: Results['measured']): string =>
  `${at}, Node ${node}, ${processors} × ${processor}${busy === undefined ? '' : loadAtStart(busy, processors)}.`;

/** The text output of `npm run bench`: one table for all endpoints, followed by the other results. */
export const summary = (found: Results): string =>
  [
    machine(found.measured),
    textTable(HEAD, endpoints(found)),
    'First request, start and warm are ratios: against a bare DocumentClient function, and against the bare requests to DynamoDB.',
    firstRequests(found),
    flat(found),
    ...section('', found.latency, () => textTable(LATENCY_HEAD, latency(found))),
    ...section('', found.deploy, () => deployment(found).replaceAll('`', '"')),
    `Fan-out: ${found.fanout
      .map(({ connections, invocations, p99, cpu }) => {
        const by = invocations > 1 ? ` by ${invocations}` : '';
        return `${connections}${by}: p99 ${rounded(p99)} ms, busiest CPU ${rounded(cpu)} ms`;
      })
      .join('; ')}.`,
    `Local stack: ${load(found)}`,
    prices(found).replaceAll('`', '"'),
  ].join('\n\n');

/** The generated text of docs/operate/performance/README.md, with all compared variants. */
export const performanceText = (found: Results): string =>
  [
    `Measured ${machine(found.measured)}`,
    ...Object.entries(found.again).map(([name, measured]) => `Measured again since, \`${name}\`: ${machine(measured)}`),
    '### Functions',
    markdownTable(HEAD, endpoints(found)),
    firstRequests(found),
    flat(found),
    '### What they are compared with',
    markdownTable(START_HEAD, starts(found, REFERENCES)),
    '### What each step brings',
    'Functions as they are deployed, but for one thing.',
    markdownTable(START_HEAD, starts(found, 'step')),
    ...section('### Memory', found.memory, () => markdownTable(memoryHead(found), memory(found))),
    ...section('### Latency of messages', found.latency, () => markdownTable(LATENCY_HEAD, latency(found))),
    ...section('### Deployment', found.deploy, () => deployment(found)),
    '### Fan-out',
    markdownTable(FANOUT_HEAD, fanout(found)),
    '### Throughput of the local stack',
    load(found),
    markdownTable(
      ['where the CPU time goes', '%'],
      found.throughput.time.map(({ part, share }) => [part, (share * 100).toFixed(1)]),
    ),
    '![Flame graph of the gateway](gateway.svg)',
    '### Price',
    prices(found),
  ].join('\n\n');
