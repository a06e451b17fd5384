import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as v from 'valibot';
import { type DynamoDbLocal, startDynamoDb } from '../../local/dynamodb/dynamodb-local.ts';
import { openLog } from '../../local/log.ts';
import { startStack } from '../../local/stack.ts';
import { UsageError } from '../../tools/cli/usage-error.ts';
import { breaks, isBreak, runBroken } from './breaks.ts';
import { check, PROPERTIES, type Property, propertyNames, TIMED, type Violation } from './checker.ts';
import { faultsOf, noFaults } from './faults.ts';
import { faultyFunctions } from './functions.ts';
import { type History, historySchema, recorder } from './history.ts';
import { planOf, ROUND_MS } from './plan.ts';
import { startProxy } from './proxy.ts';
import { randomOf } from './random.ts';
import { runRound, type World } from './round.ts';
import { onDynamoDb, onHttpApi, onManagement, onS3, onServices } from './services.ts';
import { tableView } from './table.ts';

const HELP = `Usage: npm run test:chaos -- [options]

Runs the whole system on this machine under faults, records what many clients did and saw, and proves over the whole history
that the service has kept its promises. See docs/operate/reliability.md.

Operations and faults follow from the seed. Their interleaving does not: a failing seed fails again as a rule, not always. So a
round that fails leaves its whole history, and the faults that hit, in a folder; check a history again with --check.

Options:
  --seed N       where everything is drawn from (default: 1)
  --minutes M    start rounds for so long; each takes about a minute (default: 1)
  --rounds N     run so many rounds instead
  --round N      run only this round of the seed
  --fail-fast    stop after the first round that fails
  --quiet        no faults: the same operations, and clocks that agree
  --out DIR      where to write what failed, and the log (default: .local/chaos)
  --keep         write the history of every round, not only of those that fail
  --check FILE   check a stored history, and run nothing
  --break NAME   break a copy of the product, and succeed where the checker sees it; one of:
${Object.entries(breaks)
  .map(([name, { what }]) => `                   ${name.padEnd(20)}${what}`)
  .join('\n')}
  --help         print this help
`;

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Options {
  readonly seed: number;
  readonly minutes: number;
  readonly rounds: number | undefined;
  readonly round: number | undefined;
  readonly failFast: boolean;
  readonly quiet: boolean;
  readonly out: string;
  readonly keep: boolean;
  readonly check: string | undefined;
  readonly break: string | undefined;
  readonly help: boolean;
}

function options(): Options {
  const text = { type: 'string' } as const;
  let values: Partial<Record<string, string | boolean>>;
  try {
    ({ values } = parseArgs({
      options: {
        seed: text,
        minutes: text,
        rounds: text,
        round: text,
        'fail-fast': { type: 'boolean' },
        quiet: { type: 'boolean' },
        out: text,
        keep: { type: 'boolean' },
        check: text,
        break: text,
        help: { type: 'boolean' },
      },
    }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error));
  }
  const numberOf = (name: string): number | undefined => {
    const given = values[name];
    if (given === undefined) return undefined;
    const value = Number(given);
    if (!(value >= 0) || given === '')
      throw new UsageError(`--${name} must be a number, not ${JSON.stringify(given)}.`);
    return value;
  };
  const textOf = (name: string): string | undefined => {
    const given = values[name];
    return typeof given === 'string' ? given : undefined;
  };
  return {
    seed: numberOf('seed') ?? 1,
    minutes: numberOf('minutes') ?? 1,
    rounds: numberOf('rounds'),
    round: numberOf('round'),
    failFast: values['fail-fast'] === true,
    quiet: values.quiet === true,
    keep: values.keep === true,
    out: resolve(textOf('out') ?? join(ROOT, '.local', 'chaos')),
    check: textOf('check'),
    break: textOf('break'),
    help: values.help === true,
  };
}

/** The maximum number of reported violations per property. */
const SHOWN = 5;

function report(violations: readonly Violation[]): string {
  return propertyNames
    .flatMap((property) => {
      const found = violations.filter((each) => each.property === property);
      const more = found.length > SHOWN ? [`    … and ${found.length - SHOWN} more`] : [];
      return [
        ...found.slice(0, SHOWN).map(({ room, text }) => `    ${property}: ${room ? `${room}: ` : ''}${text}`),
        ...more,
      ];
    })
    .join('\n');
}

/** Prints each property as a test, and the line that CI counts. Returns whether no property is violated. */
function summary(broken: ReadonlySet<Property>, unknown: ReadonlySet<Property> = new Set()): boolean {
  const skipped = [...unknown].filter((property) => !broken.has(property)).length;
  for (const property of propertyNames)
    console.log(
      `${broken.has(property) ? '✗' : unknown.has(property) ? '-' : '✓'} ${property}: ${PROPERTIES[property]}`,
    );
  console.log(`${propertyNames.length - broken.size - skipped} passed, ${broken.size} failed, ${skipped} skipped`);
  return broken.size === 0;
}

/**
 * The longest acceptable stall of the test's process, in milliseconds, and how much longer than planned the faults may
 * last.
 */
const LONGEST_STALL_MS = 5_000;
const LONGEST_OVERRUN = 1.5;

/** Whether the machine was too slow for this round, so that time limits were missed regardless of the product. */
const isStarved = ({ stall, calm }: History, length: number): boolean =>
  stall > LONGEST_STALL_MS || calm > LONGEST_OVERRUN * length + 10_000;

/** Returns a folder in memory, if there is one, because DynamoDB Local waits for the disk with each write. */
const memoryDirectory = (): string => (existsSync('/dev/shm') ? '/dev/shm' : tmpdir());

/** DynamoDB Local with its data in a folder, so that it can be restarted. */
function restartableDynamoDb(directory: string) {
  let running: DynamoDbLocal | undefined;
  const start: typeof startDynamoDb = async (options) => {
    running = await startDynamoDb({ ...options, directory });
    return { ...running, close: async () => running?.close() };
  };
  return {
    directory,
    start,
    async restart(): Promise<void> {
      if (!running) return;
      const { port } = running;
      await running.close();
      running = await startDynamoDb({ port, directory });
    },
  };
}

async function checkFile(file: string): Promise<boolean> {
  const history = v.parse(historySchema, JSON.parse(await readFile(file, 'utf8')));
  const violations = check(history);
  if (violations.length > 0) console.log(report(violations));
  return summary(new Set(violations.map(({ property }) => property)));
}

async function run({ seed, minutes, rounds, round: only, failFast, quiet, keep, out }: Options): Promise<boolean> {
  const started = performance.now();
  const progress = (text: string): void =>
    console.error(`${((performance.now() - started) / 1_000).toFixed(0).padStart(4)} s  ${text}`);
  await mkdir(out, { recursive: true });
  const logFile = await openLog(join(out, 'log'), {});
  const directory = await mkdtemp(join(tmpdir(), 'rooms-chaos-'));
  const random = randomOf(seed).fork('run');
  let faults = noFaults(random);
  const upstream = { dynamodb: '', management: '', services: '', http: '', s3: '' };
  const proxies = {
    dynamodb: await startProxy(
      () => upstream.dynamodb,
      (request) => onDynamoDb(faults, request),
    ),
    management: await startProxy(
      () => upstream.management,
      (request) => onManagement(faults, request),
    ),
    services: await startProxy(
      () => upstream.services,
      (request) => onServices(faults, request),
    ),
    http: await startProxy(
      () => upstream.http,
      (request) => onHttpApi(faults, request),
    ),
    s3: await startProxy(
      () => upstream.s3,
      (request) => onS3(faults, request),
    ),
  };
  const functions = faultyFunctions(
    directory,
    (variables) => {
      upstream.dynamodb = variables.AWS_ENDPOINT_URL_DYNAMODB ?? '';
      upstream.s3 = variables.AWS_ENDPOINT_URL_S3 ?? '';
      upstream.services = variables.AWS_ENDPOINT_URL_SQS ?? '';
      if (variables.CALLBACK_URL) upstream.management = new URL(variables.CALLBACK_URL).origin;
      const ways = new Map([
        [upstream.dynamodb, proxies.dynamodb.url],
        [upstream.services, proxies.services.url],
        [upstream.s3, proxies.s3.url],
        [upstream.management, proxies.management.url],
      ]);
      const through = (value: string): string => {
        const [from, to] = [...ways].find(([url]) => url !== '' && value.startsWith(url)) ?? ['', ''];
        return to + value.slice(from.length);
      };
      return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, through(value)]));
    },
    faults,
  );
  const database = restartableDynamoDb(await mkdtemp(join(memoryDirectory(), 'rooms-chaos-dynamodb-')));
  const stack = await startStack({
    port: 0,
    log: logFile.log,
    createFunction: functions.create,
    startDynamoDb: database.start,
    progress,
  });
  upstream.http = stack.http;
  const table = tableView(functions.variable);
  const world: World = {
    http: proxies.http.url,
    ws: stack.ws,
    issuer: stack.issuer,
    table,
    socketOf: functions.socketOf,
    redrive: functions.redrive,
    restart: functions.restart,
    async restartGateways(downMs) {
      await Promise.all([proxies.http.restart(downMs), proxies.management.restart(downMs)]);
    },
    restartDynamoDb: database.restart,
  };

  const broken = new Set<Property>();
  /** Properties that no round could check. */
  const unknown = new Set(TIMED);
  const totals = { rounds: 0, operations: 0, observations: 0, faults: 0 };
  const hits: Record<string, number> = {};
  const elapsed = (): number => (performance.now() - started) / 60_000;
  /** Loads the functions. Otherwise, simultaneous cold starts would take most of the first round. */
  async function warmUp(): Promise<void> {
    const plan = planOf(seed, -1, { faults: false, rooms: 1, length: 6_000 });
    const record = recorder({ seed, round: -1, skew: 0 });
    await runRound(plan, world, faultsOf([], random, record.now), record, random.fork('warm-up'));
    progress('The functions are loaded');
  }

  try {
    await warmUp();
    for (let round = only ?? 0; ; round += 1) {
      if (failFast && broken.size > 0) break;
      const over =
        only !== undefined
          ? totals.rounds > 0
          : rounds !== undefined
            ? round >= rounds
            : elapsed() >= minutes && round > 0;
      if (over) break;
      const plan = planOf(seed, round, { faults: !quiet });
      const record = recorder({ seed, round, skew: plan.skew });
      faults = faultsOf(plan.faults, random.fork(`faults ${round}`), record.now);
      functions.enter(faults, seed * 1_000 + round + 1, plan.skew / 2);
      const { history, convergedAfter } = await runRound(plan, world, faults, record, random.fork(`round ${round}`));
      const starved = isStarved(history, plan.length);
      const violations = check(history).filter(({ property }) => !(starved && TIMED.has(property)));
      if (!starved) for (const property of TIMED) unknown.delete(property);
      for (const { property } of violations) broken.add(property);
      totals.rounds += 1;
      totals.operations += history.operations.length;
      totals.observations += history.observations.length;
      totals.faults += faults.log.length;
      for (const [name, count] of Object.entries(faults.counts())) hits[name] = (hits[name] ?? 0) + count;
      const state = starved
        ? `this machine was too busy for limits of time (it stood still for ${(history.stall / 1_000).toFixed(1)} s)`
        : convergedAfter === undefined
          ? 'never right'
          : `right after ${(convergedAfter / 1_000).toFixed(0)} s`;
      console.log(
        `seed ${seed} round ${round}: ${history.operations.length} operations, ${history.observations.length} observations, ` +
          `${faults.log.length} faults, ${state}${violations.length > 0 ? `, ${violations.length} violations` : ''}`,
      );
      if (violations.length === 0 && !keep) continue;
      const folder = join(out, `seed-${seed}-round-${round}`);
      await mkdir(folder, { recursive: true });
      const text = report(violations);
      await writeFile(join(folder, 'history.json'), JSON.stringify(history, null, 1));
      await writeFile(join(folder, 'faults.json'), JSON.stringify({ planned: plan.faults, hit: faults.log }, null, 1));
      await writeFile(join(folder, 'plan.json'), JSON.stringify(plan, null, 1));
      await writeFile(join(folder, 'violations.txt'), `${text}\n`);
      if (violations.length === 0) continue;
      console.log(text);
      console.log(
        `    history and faults are in ${relative(process.cwd(), folder)}; run it again with --seed ${seed} --round ${round}`,
      );
    }
  } finally {
    table.close();
    await stack.close();
    await Promise.all(Object.values(proxies).map((proxy) => proxy.close()));
    await logFile.close();
    await rm(directory, { recursive: true, force: true });
    await rm(database.directory, { recursive: true, force: true });
  }
  console.log(
    `${totals.rounds} rounds of ${ROUND_MS / 1_000} s: ${totals.operations} operations, ${totals.observations} observations, ${totals.faults} faults`,
  );
  console.log(
    Object.entries(hits)
      .map(([name, count]) => `${name} ${count}`)
      .join(', '),
  );
  return summary(broken, unknown);
}

try {
  const given = options();
  if (given.help) process.stdout.write(HELP);
  else if (given.check !== undefined) process.exitCode = (await checkFile(given.check)) ? 0 : 1;
  else if (given.break !== undefined) {
    if (!isBreak(given.break)) throw new UsageError(`There is no break ${JSON.stringify(given.break)}.`);
    process.exitCode = await runBroken(given.break, [
      '--fail-fast',
      ...['--seed', String(given.seed), '--minutes', String(given.minutes), '--out', `${given.out}-${given.break}`],
      ...(given.quiet ? ['--quiet'] : []),
      ...(given.rounds === undefined ? [] : ['--rounds', String(given.rounds)]),
      ...(given.round === undefined ? [] : ['--round', String(given.round)]),
    ]);
  } else process.exitCode = (await run(given)) ? 0 : 1;
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message} "npm run test:chaos -- --help" says what there is.`);
  process.exitCode = 2;
}
