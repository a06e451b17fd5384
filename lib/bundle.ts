import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, buildSync, version } from 'esbuild';
import { UsageError } from '../tools/cli/usage-error.ts';
import type { Entry } from './entries.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));

/**
 * The folder of each bundle, by the name of its entry. It contains `index.js`, which exports `handler`, and a `package.json`
 * for CommonJS.
 */
export type Bundles = ReadonlyMap<string, string>;

/**
 * Returns the folder of one bundle.
 *
 * @throws if there is none
 */
export function folderOf(bundles: Bundles, name: string): string {
  const folder = bundles.get(name);
  if (folder === undefined) throw new Error(`There is no bundle of ${name}.`);
  return folder;
}

/**
 * Writes a file atomically, because another process can synthesize at the same time. The temporary file is in the folder
 * `build`. Does not write unchanged files.
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
 * Returns the options of esbuild. They keep bundles small and fast to load; docs/operate/performance has measurements.
 * - `mainFields`: selects the ES module form of packages, from which esbuild removes unused code.
 * - `format`, `supported`: bundles are CommonJS. Importing `node:http` as an ES module, even by `import()`, evaluates all its exports,
 *   and one of them loads undici.
 * - `alias`: replaces parts of the SDK that no function needs.
 * - There are no source maps, because reading them takes start-up time.
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
      '@aws-sdk/credential-provider-node': join(root, 'core/platform/environment-credentials.ts'),
      '@aws-sdk/endpoint-cache': join(root, 'core/platform/endpoint-cache.ts'),
      '@smithy/core/event-streams': join(root, 'core/platform/event-streams.ts'),
    },
    legalComments: 'none',
    logLevel: 'warning',
  }) satisfies BuildOptions;

/**
 * The `package.json` of each bundle. Without it, Node would treat the bundle as an ES module, as the repository's
 * package.json specifies.
 */
const PACKAGE = Buffer.from('{ "type": "commonjs" }\n');

/**
 * The module that Lambda loads. It is an ES module, because CommonJS cannot wait until the handler is primed
 * (core/platform/prime.ts).
 */
export const START = Buffer.from(
  "import { createRequire } from 'node:module';\n" +
    "export const { handler } = createRequire(import.meta.url)('./index.js');\n" +
    'await handler.ready;\n',
);

/** The inputs and outputs of a set of bundles: the hash of each file, by its path from the root. */
interface Stamp {
  /** The hash of everything else that determines the output of esbuild: its options and version, and the entries. */
  readonly build: string;
  readonly files: Readonly<Record<string, string>>;
}

/** Files that determine how imports are resolved, in addition to the bundled ones. */
const RESOLUTION = ['package.json', 'tsconfig.json', 'node_modules/.package-lock.json'];

const hash = (contents: Uint8Array | string): string => createHash('sha256').update(contents).digest('base64url');
const hashOf = (file: string): string => (existsSync(file) ? hash(readFileSync(file)) : '');

const isStamp = (value: unknown): value is Stamp =>
  typeof value === 'object' && value !== null && 'build' in value && 'files' in value;

/**
 * Returns whether the bundles on disk are what esbuild would write now. Reading their inputs takes 10 % of the time
 * of building them.
 */
function isFresh(stampFile: string, build: string, root: string): boolean {
  if (!existsSync(stampFile)) return false;
  const stamp: unknown = JSON.parse(readFileSync(stampFile, 'utf8'));
  return (
    isStamp(stamp) &&
    stamp.build === build &&
    Object.entries(stamp.files).every(([file, expected]) => hashOf(join(root, file)) === expected)
  );
}

/**
 * Bundles all entries in one run of esbuild, unless nothing has changed since the last run.
 *
 * @throws UsageError if an entry has no file, or two have the same name
 */
export function bundle(entries: readonly Entry[], root: string = repository): Bundles {
  check(entries, root);
  const folder = join(root, '.build');
  const stampFile = join(folder, 'stamp.json');
  const bundles = new Map(entries.map(({ name }) => [name, join(folder, 'functions', name)]));
  const options = bundling(root);
  const build = hash(JSON.stringify([version, options, entries, String(START)]));
  if (isFresh(stampFile, build, root)) return bundles;
  const began = Date.now();
  const { outputFiles, metafile } = buildSync({
    ...options,
    entryPoints: entries.map(({ name, file }) => ({ in: file, out: `${name}/index` })),
    outdir: join(folder, 'functions'),
    metafile: true,
    write: false,
  });
  const outputs: string[] = [join(folder, 'meta.json')];
  for (const { path, contents } of outputFiles) {
    const beside = { 'package.json': PACKAGE, 'start.mjs': START };
    writeWhole(folder, path, contents);
    outputs.push(path);
    for (const [name, text] of Object.entries(beside)) {
      const file = join(dirname(path), name);
      writeWhole(folder, file, text);
      outputs.push(file);
    }
  }
  writeWhole(folder, join(folder, 'meta.json'), Buffer.from(JSON.stringify(metafile)));
  const inputs = [...RESOLUTION, ...Object.keys(metafile.inputs)];
  const files = [...inputs, ...outputs.map((path) => relative(root, path))];
  const stamp: Stamp = { build, files: Object.fromEntries(files.map((file) => [file, hashOf(join(root, file))])) };
  // If a file has changed since esbuild started, its hash may not be that of the version that esbuild read.
  const changed = inputs.some((file) => (statSync(join(root, file), { throwIfNoEntry: false })?.mtimeMs ?? 0) >= began);
  if (!changed) writeWhole(folder, stampFile, Buffer.from(JSON.stringify(stamp)));
  return bundles;
}
