import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, buildSync } from 'esbuild';
import type { Entry } from './entries.ts';
import { UsageError } from './usage-error.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));

/**
 * The folder of each bundle, by the name of its entry: it holds `index.js`, which exports `handler`, and a `package.json`
 * that says it is CommonJS.
 */
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
 * How functions are bundled. The size of a bundle is start-up time; what each of these brings is in docs/performance.
 * - `mainFields`: packages are taken in their ES module form, of which esbuild leaves out what is not used.
 * - `format`, `supported`: what is bundled is CommonJS all the same. To import `node:http` as an ES module, be it by `import()`,
 *   is to evaluate all its exports, one of which loads undici.
 * - `alias`: parts of the SDK that no function of ours needs are replaced: see the files.
 * - No source maps and no `--enable-source-maps`: reading them would be start-up time too.
 */
export const bundling = (root: string = repository) =>
  ({
    absWorkingDir: root,
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'cjs',
    supported: { 'dynamic-import': false },
    target: 'node24',
    mainFields: ['module', 'main'],
    alias: {
      '@aws-sdk/credential-provider-node': join(root, 'core/aws/environment-credentials.ts'),
      '@aws-sdk/endpoint-cache': join(root, 'core/aws/endpoint-cache.ts'),
      '@smithy/core/event-streams': join(root, 'core/aws/event-streams.ts'),
    },
    legalComments: 'none',
    logLevel: 'warning',
  }) satisfies BuildOptions;

/** Beside each bundle: it would be taken for an ES module where a folder above it, such as the repository, says so. */
const PACKAGE = Buffer.from('{ "type": "commonjs" }\n');

/** Bundles all entries in one run of esbuild. Throws UsageError where one has no file, or two have the same name. */
export function bundle(entries: readonly Entry[], root: string = repository): Bundles {
  check(entries, root);
  const build = join(root, '.build');
  const { outputFiles, metafile } = buildSync({
    ...bundling(root),
    entryPoints: entries.map(({ name, file }) => ({ in: file, out: `${name}/index` })),
    outdir: join(build, 'functions'),
    metafile: true,
    write: false,
  });
  for (const { path, contents } of outputFiles) {
    writeWhole(build, path, contents);
    writeWhole(build, join(dirname(path), 'package.json'), PACKAGE);
  }
  writeWhole(build, join(build, 'meta.json'), Buffer.from(JSON.stringify(metafile)));
  return new Map(entries.map(({ name }) => [name, join(build, 'functions', name)]));
}
