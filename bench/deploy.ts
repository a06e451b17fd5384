import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { bundle } from '../lib/bundle.ts';
import { allEntries } from '../lib/entries.ts';
import { parseCommandLine } from '../tools/cli/command-line.ts';
import { main, say } from './common/command.ts';
import { median, rounded, sum } from './common/numbers.ts';
import { textTable } from './common/table.ts';

const SCRIPT = 'npm run bench:deploy --';
const HELP = `Usage: ${SCRIPT} [options]

Measures the size of a deployment, and the time to bundle all functions, to synthesize the stacks, and to start the
local stack. "again" is the time with existing bundles, if no source file has changed. Prints medians.

  --rounds <n>   rounds of each measurement (default: 3)
  --json         print JSON instead of the table
  --help         print this text
`;

export interface Deploy {
  readonly functions: number;
  /** Total of all functions. `uploadBytes` is compressed. */
  readonly bytes: number;
  readonly uploadBytes: number;
  readonly bundleMs: number;
  readonly bundleAgainMs: number;
  readonly synthMs: number;
  readonly synthAgainMs: number;
  /** The time until `npm start` reports that it is ready, with existing bundles. */
  readonly readyMs: number;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const stamp = join(root, '.build/stamp.json');

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Runs a program until it ends, or until its output matches `until`. @throws if the program fails */
function run(args: readonly string[], until?: RegExp): Promise<void> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (part: Buffer) => {
        printed += part;
        if (!until?.test(printed)) return;
        child.once('exit', () => resolve());
        child.kill('SIGINT');
        until = undefined;
      });
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${args.join(' ')} ended: ${printed}`))));
  });
}

const CDK = join(root, 'node_modules/aws-cdk/bin/cdk');

async function measure(rounds: number): Promise<Deploy> {
  const folder = mkdtempSync(join(tmpdir(), 'rooms-bench-'));
  const times = {
    bundleMs: [] as number[],
    bundleAgainMs: [] as number[],
    synthMs: [] as number[],
    synthAgainMs: [] as number[],
    readyMs: [] as number[],
  };
  const deleteStamp = () => rmSync(stamp, { force: true });
  const synth = () => run([CDK, 'synth', '--quiet', '-c', 'env=dev', '--output', join(folder, 'cdk.out')]);
  try {
    for (let round = 1; round <= rounds; round++) {
      say(`Round ${round} of ${rounds} …`);
      deleteStamp();
      times.bundleMs.push(await timed(() => bundle(allEntries)));
      times.bundleAgainMs.push(await timed(() => bundle(allEntries)));
      deleteStamp();
      times.synthMs.push(await timed(synth));
      times.synthAgainMs.push(await timed(synth));
      const started = performance.now();
      await run(['local/cli/start.ts', '--port', '0', '--state-dir', join(folder, 'state')], / Ready\n/);
      times.readyMs.push(performance.now() - started);
    }
    const files = [...bundle(allEntries).values()].flatMap((each) =>
      readdirSync(each).map((file) => readFileSync(join(each, file))),
    );
    const of = (name: keyof typeof times) => rounded(median(times[name]));
    return {
      functions: allEntries.length,
      bytes: sum(files.map(({ length }) => length)),
      uploadBytes: sum(files.map((file) => gzipSync(file).length)),
      bundleMs: of('bundleMs'),
      bundleAgainMs: of('bundleAgainMs'),
      synthMs: of('synthMs'),
      synthAgainMs: of('synthAgainMs'),
      readyMs: of('readyMs'),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        rounds: { type: 'string', default: '3' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${SCRIPT} --help`,
  );
  if (values.help) return HELP;
  const result = await measure(Number(values.rounds));
  return values.json ? JSON.stringify(result, null, 2) : textTable(['', 'ms or bytes'], Object.entries(result));
});
