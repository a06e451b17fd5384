import { batchesOf } from '../core/realtime/batches.ts';
import { parseCommandLine } from '../tools/cli/command-line.ts';
import { type Report, withLambda } from './cold-start/starts.ts';
import { deployed } from './cold-start/variants.ts';
import { main, number, numbers, say } from './common/command.ts';
import { cheapestOf, lowerQuartile, type Setting, settingOf } from './common/memory-choice.ts';
import { shuffled } from './common/numbers.ts';
import { textTable } from './common/table.ts';

const SCRIPT = 'npm run bench:memory --';
const HELP = `Usage: ${SCRIPT} [options]

Determines the memory of each function. Measures cold starts (as bench:cold-start does) and warm requests with each
setting, and the price of 1 million requests. Chooses the cheapest setting with which neither takes more than 10 % longer
than with the fastest. Functions that post do so to 100 connections. Prints lower quartiles in milliseconds.

  --sizes <a,b>  megabytes (default: 256,512,1024,1769)
  --rounds <n>   starts of each function, after one that is not counted (default: 5)
  --more <n>     warm requests after each start (default: 10)
  --only <a,b>   only functions that have one of these texts in their names
  --json         print JSON instead of the table
  --help         print this text
`;

export interface MemoryLine {
  readonly name: string;
  /** The name of its bundle: see lib/entries.ts. */
  readonly entry: string;
  readonly settings: readonly Setting[];
  /** The chosen memory in megabytes. */
  readonly chosen: number;
}

/** The number of connections in the room to which functions post, as in the latency goal. */
const CONNECTIONS = 100;

/** The number of starts per room, low enough that warm requests do not reach limits per user. */
const STARTS_PER_ROOM = 20;

interface Options {
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly more: number;
  readonly only: readonly string[];
}

async function measure({ sizes, rounds, more, only }: Options): Promise<MemoryLine[]> {
  const runs = deployed()
    .filter(({ name }) => only.some((text) => name.includes(text)))
    .flatMap((variant) => sizes.map((memory) => ({ variant, memory, reports: [] as Report[] })));
  return withLambda(CONNECTIONS, async (lambda) => {
    for (let round = 0; round <= rounds; round++) {
      say(`Round ${round} of ${rounds} …`);
      for (const group of batchesOf(shuffled(runs), STARTS_PER_ROOM)) {
        await lambda.newRoom();
        for (const { variant, memory, reports } of group) {
          const report = await lambda.start(variant, { memory, more });
          if (round > 0) reports.push(report);
        }
      }
    }
    return [...Map.groupBy(runs, ({ variant }) => variant)].map(([{ name, entry }, all]) => {
      const init = lowerQuartile(all.flatMap(({ reports }) => reports.map(({ load }) => load)));
      const settings = all.map(({ memory, reports }) => settingOf(memory, init, reports));
      return { name, entry, settings, chosen: cheapestOf(settings).memory };
    });
  });
}

const table = (lines: readonly MemoryLine[]): string =>
  textTable(
    ['function', 'MB', 'INIT, ms', 'first, ms', 'start, ms', 'warm, ms', 'warm p95', 'used, MB', '$ per million', ''],
    lines.flatMap(({ name, settings, chosen }) =>
      settings.map(({ memory, init, first, start, warm, warmP95, used, dollars }) => [
        name,
        memory,
        ...[init, first, start, warm, warmP95].map((ms) => ms.toFixed(1)),
        used.toFixed(0),
        dollars.toFixed(3),
        memory === chosen ? '<' : '',
      ]),
    ),
  );

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        sizes: { type: 'string', default: '256,512,1024,1769' },
        rounds: { type: 'string', default: '5' },
        more: { type: 'string', default: '10' },
        only: { type: 'string', default: '' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${SCRIPT} --help`,
  );
  if (values.help) return HELP;
  const lines = await measure({
    sizes: numbers('sizes', values.sizes, 128, 10_240),
    rounds: number('rounds', values.rounds, 1, 1_000),
    more: number('more', values.more, 1, 20),
    only: values.only.split(','),
  });
  return values.json ? JSON.stringify(lines, null, 2) : table(lines);
});
