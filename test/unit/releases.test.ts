import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MAX_OUTAGE_MS } from '../upgrade/bounds.ts';
import { allReleases, differing } from '../upgrade/release.ts';

const at = (path: string): URL => new URL(`../../${path}`, import.meta.url);

describe('docs/releases/releases.json', () => {
  test('has the versions of the changelog, each with its contract', () => {
    const changelog = readFileSync(at('CHANGELOG.md'), 'utf8');
    const versions = [...changelog.matchAll(/^## \[(\d+\.\d+\.\d+)\]/gm)].map(([, version]) => version);
    const listed = allReleases().map(({ version }) => version);
    // The entry of a release contains its commit, so it is added after that commit.
    expect(listed).toEqual(versions.toReversed().slice(0, listed.length));
    expect(versions.length - listed.length).toBeLessThanOrEqual(1);
    for (const { contract } of allReleases())
      expect(existsSync(at(`docs/releases/openapi-${contract}.json`)), contract).toBe(true);
  });
});

test('docs/operate/upgrade.md states the bound that the upgrade test checks', () => {
  const page = readFileSync(at('docs/operate/upgrade.md'), 'utf8');
  expect(page).toContain(`without a connection for more than **${MAX_OUTAGE_MS / 1_000} seconds**`);
});

describe('the packages of a release', () => {
  const lock = (packages: object) => ({ packages: { '': { version: '0.1.0' }, ...packages } });
  const valibot = { 'node_modules/valibot': { version: '1.0.0', integrity: 'a' } };

  test('are the installed packages if the lock files agree', () => {
    const more = { 'node_modules/new': { version: '1.0.0', integrity: 'b' } };
    expect(differing(lock(valibot), lock({ ...valibot, ...more }))).toEqual([]);
  });

  test('are installed if a runtime or build dependency has another version', () => {
    const shipped = { 'node_modules/valibot': { version: '1.0.1', integrity: 'c' } };
    expect(differing(lock(valibot), lock(shipped))).toEqual(['node_modules/valibot']);
    const esbuild = (version: string) => ({ 'node_modules/esbuild': { version, dev: true } });
    expect(differing(lock(esbuild('1.0.0')), lock(esbuild('2.0.0')))).toEqual(['node_modules/esbuild']);
  });

  test('may differ in packages that only tests use', () => {
    const vitest = (version: string) => ({ 'node_modules/vitest': { version, dev: true } });
    expect(differing(lock(vitest('1.0.0')), lock(vitest('2.0.0')))).toEqual([]);
  });
});
