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

/** Returns all releases, oldest first. A release is identified by its commit, because a clone can lack the tags. */
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

/** Development packages that affect the deployed code or run the SDK. */
const BUILDS = /^node_modules\/(@?aws-cdk|@aws-cdk\/|constructs|esbuild|@esbuild\/|ws|node|typescript|cdk-nag)/;

/** Returns the paths of packages that a release needs in another version than the installed one. */
export function differing(release: unknown, installed: unknown): string[] {
  const [before, now] = [v.parse(lockFile, release).packages, v.parse(lockFile, installed).packages];
  return Object.entries(before)
    .filter(([path, { dev }]) => path !== '' && (dev !== true || BUILDS.test(path)))
    .filter(([path, { version, integrity }]) => now[path]?.version !== version || now[path]?.integrity !== integrity)
    .map(([path]) => path);
}

/** Returns the reason why the code of a release is not available, or undefined if it is. */
export function whyOutOfReach({ version, commit }: Release): string | undefined {
  try {
    execFileSync('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: ROOT, stdio: 'ignore' });
    return undefined;
  } catch {
    return `This clone does not have the commit of release ${version} (${commit.slice(0, 7)}). Run "git fetch --unshallow".`;
  }
}

/** Extracts the code of a release to a folder, without packages. */
export async function unpack({ version, commit }: Release, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const archive = join(directory, '..', `${version}.tar`);
  await run('git', ['archive', '--format=tar', '--output', archive, commit], { cwd: ROOT });
  await run('tar', ['-xf', archive, '-C', directory]);
}

/** Links the installed packages into the folder of a release. */
export const usePackages = (directory: string): void =>
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));

/**
 * Extracts the code of a release to a folder, with packages. Links the installed packages if the lock files agree on all relevant
 * packages. Otherwise, installs the packages of the release.
 */
export async function checkOut(release: Release, directory: string): Promise<void> {
  await unpack(release, directory);
  const lockOf = (folder: string): unknown => JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
  if (differing(lockOf(directory), lockOf(ROOT)).length === 0) usePackages(directory);
  else await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: directory, maxBuffer: 64 * 1024 * 1024 });
  mkdirSync(join(directory, 'test/upgrade'), { recursive: true });
  cpSync(join(ROOT, 'test/upgrade/user.ts'), join(directory, 'test/upgrade/user.ts'));
}
