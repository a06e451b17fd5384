import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { npmStart, ROOT, type RunningStack } from '../e2e/npm-start.ts';
import { lastRelease, unpack, usePackages, whyOutOfReach } from './release.ts';

/*
 * Checks that the service supports clients of the last release. The SDK of that release runs its own tests against the current service.
 * Its outage tests run against the local stack. Its other tests run against the current wire server, which adds all new fields and
 * sends all new events after each message.
 */

/** Replacements in tests of a release that reject additional fields, although clients must accept them. */
const LOOSER: Readonly<Record<string, readonly (readonly [file: string, exact: string, looser: string])[]>> = {
  '0.1.0': [
    [
      'test/client/realtime.test.ts',
      "expect(await removed).toEqual({ participant_id: 'bob' });",
      "expect(await removed).toMatchObject({ participant_id: 'bob' });",
    ],
  ],
};

const release = lastRelease();
const outOfReach = whyOutOfReach(release);
const run = promisify(execFile);

let directory: string;
let stack: RunningStack | undefined;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rooms-last-release-'));
  if (outOfReach === undefined) stack = await npmStart();
});
afterAll(async () => {
  await stack?.close();
  await rm(directory, { recursive: true, force: true });
});

test.skipIf(outOfReach !== undefined)(
  `the client SDK of release ${release.version} passes its own tests against the current service`,
  async () => {
    const code = join(directory, 'code');
    await unpack(release, code);
    usePackages(code);
    const present = JSON.stringify(join(ROOT, 'test/client/wire-server.ts'));
    await writeFile(join(code, 'test/client/wire-server.ts'), `export * from ${present};\n`);
    for (const [file, exact, looser] of LOOSER[release.version] ?? []) {
      const text = await readFile(join(code, file), 'utf8');
      expect(text).toContain(exact);
      await writeFile(join(code, file), text.replace(exact, looser));
    }
    const endpoints = join(directory, 'endpoints.json');
    await writeFile(endpoints, JSON.stringify(stack));
    const env = { ...process.env, ROOMS_TEST_ENDPOINTS: endpoints, ROOMS_TEST_NOISE: '1' };
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const args = [vitest, 'run', '--project', 'client', '--reporter', 'default'];
    const { stdout } = await run(process.execPath, args, { cwd: code, env, maxBuffer: 64 * 1024 * 1024 }).catch(
      (error: { readonly stdout: string; readonly stderr: string }) => {
        throw new Error(`${error.stdout}\n${error.stderr}`);
      },
    );
    const passed = /Tests\s+(\d+) passed/.exec(stripVTControlCharacters(stdout))?.[1];
    expect(Number(passed)).toBeGreaterThan(100);
  },
  600_000,
);
