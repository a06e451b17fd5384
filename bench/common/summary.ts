import { rounded } from './numbers.ts';
import type { Results } from './results.ts';
import { type Cell, markdownTable, textTable } from './table.ts';

/** The program that writes the figures of docs/operate/performance/README.md. */
export const PROGRAM = 'npm run bench';

const REFERENCES = 'reference';

const HEAD = ['endpoint', 'KB', 'start: CPU', 'start: wall', 'warm', 'trips', 'RCU', 'WCU'];

/** One line an endpoint: what it weighs, how it starts and runs, and what it costs in the largest room. */
function endpoints(found: Results): Cell[][] {
  const largest = Math.max(...found.cost.map(({ scale }) => scale.participants));
  return found['cold-start']
    .filter(({ kind }) => kind === 'function')
    .map(({ name, bytes, ratio, cpuRatio }) => {
      const warm = found.warm.find(({ operation }) => operation === name);
      const cost = found.cost.find(({ operation, scale }) => operation === name && scale.participants === largest);
      return [
        name,
        rounded(bytes / 1_000),
        cpuRatio.toFixed(2),
        ratio.toFixed(2),
        warm ? warm.ratio.toFixed(2) : '',
        cost?.trips ?? '',
        cost ? rounded(cost.rcu, 1) : '',
        cost ? rounded(cost.wcu, 1) : '',
      ];
    });
}

const starts = (found: Results, kind: 'reference' | 'step'): Cell[][] =>
  found['cold-start']
    .filter((each) => each.kind === kind)
    .map(({ name, bytes, load, invoke, cpu, cpuRatio }) => [
      name,
      rounded(bytes / 1_000),
      load.toFixed(1),
      invoke.toFixed(1),
      cpu.toFixed(1),
      cpuRatio.toFixed(2),
    ]);
const START_HEAD = ['variant', 'KB', 'load, ms', 'first invoke, ms', 'CPU, ms', 'CPU ratio'];

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

const machine = (measured: Results['measured']): string =>
  `${measured.at}, Node ${measured.node}, ${measured.processors} × ${measured.processor}, ` +
  `load ${measured.busy.toFixed(1)} at the start${measured.busy > measured.processors ? ' (others were at work: wall times say little)' : ''}.`;

/** The one table of `npm run bench`, and what does not fit into it. */
export const summary = (found: Results): string =>
  [
    machine(found.measured),
    textTable(HEAD, endpoints(found)),
    'Start and warm are ratios: against a bare DocumentClient function, and against the bare requests to DynamoDB.',
    flat(found),
    `Fan-out: ${found.fanout
      .map(({ connections, invocations, p99, cpu }) => {
        const by = invocations > 1 ? ` by ${invocations}` : '';
        return `${connections}${by}: p99 ${rounded(p99)} ms, busiest CPU ${rounded(cpu)} ms`;
      })
      .join('; ')}.`,
    `Local stack: ${load(found)}`,
    prices(found).replaceAll('`', '"'),
  ].join('\n\n');

/** The same for docs/operate/performance/README.md, with the variants that were compared. */
export const performanceText = (found: Results): string =>
  [
    `Measured ${machine(found.measured)}`,
    ...Object.entries(found.again).map(([name, measured]) => `Measured again since, ${name}: ${machine(measured)}`),
    '### Endpoints',
    markdownTable(HEAD, endpoints(found)),
    flat(found),
    '### What they are compared with',
    markdownTable(START_HEAD, starts(found, REFERENCES)),
    '### What each step brings',
    'getRoom, bundled as it is and with one thing changed.',
    markdownTable(START_HEAD, starts(found, 'step')),
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
