import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { environment, type Target } from './cdk.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const report = v.object({
  ok: v.boolean(),
  results: v.array(
    v.object({ name: v.string(), outcome: v.picklist(['passed', 'failed', 'not_shown']), detail: v.string() }),
  ),
  rooms: v.object({ created: v.number(), ended: v.number() }),
});
export type Report = v.InferOutput<typeof report>;

export interface Verified {
  readonly code: number | null;
  readonly report: Report;
  /** Returns the sorted names of the checks with an outcome. */
  named(outcome: Report['results'][number]['outcome']): string[];
}

/** Runs `npm run verify` for `dev`. Passes the URLs explicitly, because the URLs of the stacks do not lead to the emulator. */
export async function verify(
  target: Target,
  {
    http,
    webSocket,
    tokens,
    args = [],
  }: {
    readonly http: string;
    readonly webSocket: string;
    readonly tokens: readonly [string, string];
    readonly args?: readonly string[];
  },
): Promise<Verified> {
  const urls = ['--url', http, '--websocket-url', webSocket];
  const child = spawn('node', ['bin/verify.ts', '--env', 'dev', '--emulated', '--json', ...urls, ...args], {
    cwd: ROOT,
    env: { ...environment(target), ROOMS_TOKEN: tokens[0], ROOMS_TOKEN_2: tokens[1] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), report), output);
  if (!parsed.success) throw new Error(`npm run verify ended with ${code}:\n${output}${errors}`);
  return {
    code,
    report: parsed.output,
    named: (outcome) =>
      parsed.output.results
        .filter((each) => each.outcome === outcome)
        .map(({ name }) => name)
        .sort(),
  };
}
