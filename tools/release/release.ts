import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import * as v from 'valibot';
import { messageOf } from '../cli/error-text.ts';
import { released, withVersion } from './changelog.ts';

const HELP = `Usage: npm run release -- [--dry-run]

Makes a release on this machine from the changesets in .changeset:
sets the version in package.json, package-lock.json and client/package.json, moves "Unreleased" in CHANGELOG.md to the version,
checks that the client SDK can be published (npm publish --dry-run), commits, and creates the tag. Nothing is pushed or published.

  --dry-run  Only show the version, and check the client SDK. Changes nothing
  --help     Print this
`;

const ROOT = resolve(import.meta.dirname, '../..');
const at = (path: string): string => join(ROOT, path);

async function run(command: string, args: readonly string[], cwd = ROOT): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(command, args, { cwd, maxBuffer: 2 ** 26 });
  return `${stdout}${stderr}`;
}

/** Builds and packs the client SDK as `npm publish` does, without publishing it. A version that the registry would reject causes a warning. */
async function packClient(): Promise<string> {
  const packed = await run('npm', ['pack', '--dry-run'], at('client'));
  try {
    await run('npm', ['publish', '--dry-run', '--loglevel', 'error'], at('client'));
    return packed;
  } catch (error) {
    const reason = /^npm error (.*)$/m.exec(error instanceof Error ? error.message + Object(error).stderr : '')?.[1];
    return `${packed}\nWarning: "npm publish" would fail: ${reason ?? String(error)}`;
  }
}

const plan = v.object({ releases: v.array(v.object({ name: v.string(), type: v.string(), newVersion: v.string() })) });

/** Returns the version that follows from the changesets. */
async function nextVersion(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'rooms-release-'));
  try {
    // The command accepts only paths relative to the repository.
    const file = join(directory, 'plan.json');
    await run('npx', ['changeset', 'status', '--output', relative(ROOT, file)]);
    const { releases } = v.parse(plan, JSON.parse(await readFile(file, 'utf8')));
    const own = releases.find(({ name, type }) => name === 'rooms' && type !== 'none');
    if (!own) throw new Error('There is no changeset for a release: create one with "npx changeset".');
    return own.newVersion;
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function edit(path: string, change: (text: string) => string): Promise<void> {
  await writeFile(at(path), change(await readFile(at(path), 'utf8')));
}

async function main(): Promise<string> {
  const { values } = parseArgs({
    options: { 'dry-run': { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) return HELP;
  const version = await nextVersion();
  // Throws if there is nothing to release, before any file is changed.
  const changelog = released(
    await readFile(at('CHANGELOG.md'), 'utf8'),
    version,
    new Date().toISOString().slice(0, 10),
  );
  if (values['dry-run']) {
    const packed = await packClient();
    return `${packed}\nThe next release is ${version}. Nothing was changed.`;
  }

  if ((await run('git', ['status', '--porcelain'])).trim() !== '') throw new Error('Commit your changes first.');
  await run('npx', ['changeset', 'version']);
  await writeFile(at('CHANGELOG.md'), changelog);
  for (const path of ['package.json', 'package-lock.json', 'client/package.json'])
    await edit(path, (text) => withVersion(text, version));
  const packed = await packClient();
  await run('git', ['add', '--all']);
  await run('git', ['commit', '--message', `release: ${version}`]);
  await run('git', ['tag', '--annotate', `v${version}`, '--message', `Rooms ${version}`]);
  return `${packed}\nCommitted and tagged v${version}. Add the commit to docs/releases/releases.json, push with --follow-tags, and publish client/.`;
}

try {
  console.log(await main());
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
