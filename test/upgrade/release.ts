import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as v from 'valibot';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const releases = v.pipe(
  v.array(
    v.object({ version: v.string(), contract: v.string(), commit: v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/)) }),
  ),
  v.minLength(1),
);
export type Release = v.InferOutput<typeof releases>[number];

/** The releases, the oldest first. A release is a commit: a clone need not have the tags. */
export const allReleases = (): readonly Release[] =>
  v.parse(releases, JSON.parse(readFileSync(join(ROOT, 'docs/releases/releases.json'), 'utf8')));

export function lastRelease(): Release {
  const last = allReleases().at(-1);
  if (!last) throw new Error('docs/releases/releases.json is empty.');
  return last;
}

const lockFile = v.object({
  packages: v.record(
    v.string(),
    v.looseObject({ version: v.optional(v.string()), integrity: v.optional(v.string()), dev: v.optional(v.boolean()) }),
  ),
});

/** Development packages that decide what is deployed, or run the SDK. */
const BUILDS = /^node_modules\/(@?aws-cdk|@aws-cdk\/|constructs|esbuild|@esbuild\/|ws|node|typescript|cdk-nag)/;

/** Paths of packages that a release needs in another version than is installed here. */
export function differing(release: unknown, installed: unknown): string[] {
  const [before, now] = [v.parse(lockFile, release).packages, v.parse(lockFile, installed).packages];
  return Object.entries(before)
    .filter(([path, { dev }]) => path !== '' && (dev !== true || BUILDS.test(path)))
    .filter(([path, { version, integrity }]) => now[path]?.version !== version || now[path]?.integrity !== integrity)
    .map(([path]) => path);
}

/** Why the code of a release cannot be had here; undefined if it can. */
export function whyOutOfReach({ version, commit }: Release): string | undefined {
  try {
    execFileSync('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: ROOT, stdio: 'ignore' });
    return undefined;
  } catch {
    return `This clone does not have the commit of release ${version} (${commit.slice(0, 7)}). Its history is shallow: "git fetch --unshallow" gets the rest.`;
  }
}

/** Puts the code of a release into a folder, without its packages. */
export async function unpack({ version, commit }: Release, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const archive = join(directory, '..', `${version}.tar`);
  await run('git', ['archive', '--format=tar', '--output', archive, commit], { cwd: ROOT });
  await run('tar', ['-xf', archive, '-C', directory]);
}

/** Uses the packages that are installed here for the code of a release. */
export const usePackages = (directory: string): void =>
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));

/**
 * Puts the code of a release into a folder, with its packages. These are the ones installed here where the lock files agree on all that
 * matter; otherwise they are installed by the lock file of the release.
 */
export async function checkOut(release: Release, directory: string): Promise<void> {
  await unpack(release, directory);
  const lockOf = (folder: string): unknown => JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
  if (differing(lockOf(directory), lockOf(ROOT)).length === 0) usePackages(directory);
  else await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: directory, maxBuffer: 64 * 1024 * 1024 });
  mkdirSync(join(directory, 'test/upgrade'), { recursive: true });
  cpSync(join(ROOT, 'test/upgrade/user.ts'), join(directory, 'test/upgrade/user.ts'));
}
