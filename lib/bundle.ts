import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import type { Entry } from './entries.ts';
import { UsageError } from './usage-error.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));

/** The folder of each bundle, by the name of its entry: it holds `index.mjs`, which exports `handler`, and nothing else. */
export type Bundles = ReadonlyMap<string, string>;

/** The folder of one bundle. Throws where there is none. */
export function folderOf(bundles: Bundles, name: string): string {
  const folder = bundles.get(name);
  if (folder === undefined) throw new Error(`${name} was not bundled.`);
  return folder;
}

/**
 * Writes a file by way of a draft in the folder `build`. Another process may be synthesizing too: it never sees half a file,
 * and an unchanged one is left alone.
 */
function writeWhole(build: string, file: string, contents: Uint8Array): void {
  if (existsSync(file) && readFileSync(file).equals(contents)) return;
  mkdirSync(dirname(file), { recursive: true });
  const draft = join(build, `.draft-${randomUUID()}`);
  writeFileSync(draft, contents);
  renameSync(draft, file);
}

function check(entries: readonly Entry[], root: string): void {
  const missing = entries.filter(({ file }) => !existsSync(join(root, file)));
  if (missing.length > 0)
    throw new UsageError(
      `Every function needs a file that exports "handler": ${missing
        .map(({ name, file }) => `${name} expects ${file}`)
        .join(', ')}.`,
    );
  for (const [name, same] of Map.groupBy(entries, (entry) => entry.name))
    if (same.length > 1)
      throw new UsageError(
        `Two functions must not have the same name: ${same.map(({ file }) => file).join(' and ')} are both "${name}".`,
      );
}

/**
 * Bundles all entries in one run of esbuild. Throws UsageError where one has no file, or two have the same name.
 *
 * The size of a bundle is start-up time. So packages are taken in their ES module form, of which esbuild leaves out what is
 * not used, and the SDK's search for credentials is replaced (see core/aws/environment-credentials.ts). No source maps and no
 * `--enable-source-maps`: reading them would be start-up time too.
 */
export function bundle(entries: readonly Entry[], root: string = repository): Bundles {
  check(entries, root);
  const build = join(root, '.build');
  const { outputFiles, metafile } = buildSync({
    absWorkingDir: root,
    entryPoints: entries.map(({ name, file }) => ({ in: file, out: `${name}/index` })),
    outdir: join(build, 'functions'),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    mainFields: ['module', 'main'],
    alias: { '@aws-sdk/credential-provider-node': join(root, 'core/aws/environment-credentials.ts') },
    legalComments: 'none',
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  for (const { path, contents } of outputFiles) writeWhole(build, path, contents);
  writeWhole(build, join(build, 'meta.json'), Buffer.from(JSON.stringify(metafile)));
  return new Map(entries.map(({ name }) => [name, join(build, 'functions', name)]));
}
