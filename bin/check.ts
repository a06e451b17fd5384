import { parseArgs } from 'node:util';
import { summaryOf } from '../tools/cli/error-text.ts';
import { UsageError } from '../tools/cli/usage-error.ts';
import { type CheckProgress, check, type Outcome } from './operations/check.ts';
import { interrupted, numberOption, runCommand } from './operations/command.ts';
import { FINDINGS, type FindingKind, type Found, findingKinds } from './operations/findings.ts';
import { placesOf } from './operations/places.ts';
import { MAX_FAILURES } from './operations/schedules.ts';

const kinds = Object.entries<{ summary: string; repair?: string }>(FINDINGS)
  .map(([kind, { summary, repair }]) => `  ${kind}\n      ${summary}${repair ? ` Repair: ${repair}.` : ''}`)
  .join('\n');

const HELP = `Usage: npm run check -- --env <name> [--repair] [options]

Checks all rooms, messages, files and schedules of an environment. Without --repair, changes nothing. You can run it at any time and
repeat it: it changes only what is wrong, and keeps changes that users make during a repair.

  --env           the environment, such as prod
  --repair        repair what can be repaired safely
  --only          kinds of findings, comma-separated (default: all)
  --no-files      skip files, which need a request to S3 each
  --from          cursor from an earlier run, to continue it
  --read-units    maximum read units per second (default: 1000, which is 8 MB)
  --concurrency   number of parallel requests (default: 20)
  --json          print a line of JSON for each finding, and one for the summary
  --help          print this

Findings:
${kinds}

Exit codes: 0 no findings, or all were repaired; 1 findings remain; 2 usage error; 3 not finished. Ctrl-C ends the run after the
current page and prints a cursor.`;

const numbers = new Intl.NumberFormat('en-US');

const isKind = (text: string): text is FindingKind => findingKinds.some((kind) => kind === text);

function only(text: string | undefined): ReadonlySet<FindingKind> | undefined {
  if (text === undefined) return undefined;
  return new Set(
    text.split(',').map((part) => {
      const kind = part.trim();
      if (!isKind(kind)) throw new UsageError(`There is no finding ${JSON.stringify(kind)}.`);
      return kind;
    }),
  );
}

function lineOf({ kind, subject, fix }: Found, outcome: Outcome): string {
  const about = Object.entries(subject).map(([name, value]) => `${name}=${value}`);
  const said = {
    repaired: 'repaired',
    kept: fix === undefined ? 'cannot be repaired' : `--repair would ${fix}`,
    changing: 'changed during each attempt; run the check again',
  }[outcome];
  return `${kind.padEnd(27)} ${about.join(' ')}: ${said}`;
}

const progressOf = ({ items, found, failed }: CheckProgress): string =>
  `${numbers.format(items)} items read, ${numbers.format(sum(found))} findings, ${numbers.format(failed)} failures`;
const sum = (found: CheckProgress['found']): number => Object.values(found).reduce((total, count) => total + count, 0);

/** Interval between progress reports, in milliseconds. */
const PROGRESS_MS = 2_000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      env: { type: 'string' },
      repair: { type: 'boolean', default: false },
      only: { type: 'string' },
      files: { type: 'boolean', default: true },
      from: { type: 'string' },
      'read-units': { type: 'string', default: '1000' },
      concurrency: { type: 'string', default: '20' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { env, repair, files, from, json } = values;
  if (env === undefined) throw new UsageError('Specify the environment: --env <name>.');
  const options = {
    repair,
    files,
    from,
    only: only(values.only),
    readUnits: numberOption('read-units', values['read-units']),
    concurrency: numberOption('concurrency', values.concurrency),
    signal: interrupted(),
  };
  const places = await placesOf(env);

  let printed = performance.now();
  const progress = await check(places, {
    ...options,
    onFinding(found, outcome) {
      const { kind, subject, fix } = found;
      console.log(json ? JSON.stringify({ finding: kind, ...subject, fix, outcome }) : lineOf(found, outcome));
    },
    onProgress(now) {
      if (performance.now() - printed < PROGRESS_MS) return;
      printed = performance.now();
      console.error(progressOf(now));
    },
    onFailure(error) {
      console.error(summaryOf(error));
    },
  });

  if (json) console.log(JSON.stringify({ summary: progress }));
  else {
    for (const [kind, count] of Object.entries(progress.found))
      console.log(`${kind.padEnd(27)} ${numbers.format(count)}`);
    console.log(
      `${progressOf(progress)}. ${numbers.format(progress.repaired)} repaired, ${numbers.format(progress.left)} left.`,
    );
    if (progress.repairable > 0) console.log(`Add --repair to repair ${numbers.format(progress.repairable)} of them.`);
  }
  if (progress.failed >= MAX_FAILURES) console.error('Too many checks failed. Fix the cause first.');
  if (progress.finished) return progress.left > 0 ? 1 : 0;
  const goOn = progress.cursor === undefined ? '' : ` --from ${progress.cursor}`;
  console.error(`Not finished. Continue with: npm run check -- --env ${env}${repair ? ' --repair' : ''}${goOn}`);
  return 3;
}

await runCommand('check', main, 3);
