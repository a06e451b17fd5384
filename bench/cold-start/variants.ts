import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { App, Stack } from 'aws-cdk-lib';
import { Runtime } from 'aws-cdk-lib/aws-lambda';
import { type BundlingOptions, NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs';
import { type BuildOptions, buildSync } from 'esbuild';
import * as v from 'valibot';
import { handlerFile, routes } from '../../core/contract/index.ts';
import { bundle, bundling, folderOf, START } from '../../lib/bundle.ts';
import { allEntries } from '../../lib/entries.ts';
import type { Variant } from './starts.ts';
import { GET_ROOM, type Kind, targets } from './targets.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** A folder inside the repository, so that bundles find the SDK in node_modules. */
const directory = join(root, '.build/bench');

const functionTemplate = v.object({
  Type: v.literal('AWS::Lambda::Function'),
  Metadata: v.object({ 'aws:asset:path': v.string() }),
});
const template = v.object({ Resources: v.record(v.string(), v.unknown()) });

/** Bundles files of this folder with the default settings of CDK's NodejsFunction. */
function withCdk(entries: Readonly<Record<string, { readonly entry: string; readonly bundling?: BundlingOptions }>>) {
  const outdir = join(directory, 'cdk');
  const app = new App({ outdir, context: { 'aws:cdk:enable-asset-metadata': true } });
  const stack = new Stack(app, 'bench');
  for (const [id, { entry, ...props }] of Object.entries(entries))
    new NodejsFunction(stack, id, {
      ...props,
      entry: join(import.meta.dirname, entry),
      runtime: Runtime.NODEJS_24_X,
      depsLockFilePath: join(root, 'package-lock.json'),
    });
  const { Resources } = v.parse(template, app.synth().getStackByName('bench').template);
  return (id: string): string => {
    const found = Object.entries(Resources).find(
      ([logicalId, resource]) => logicalId.startsWith(id) && v.is(functionTemplate, resource),
    );
    return join(outdir, v.parse(functionTemplate, found?.[1]).Metadata['aws:asset:path'], 'index.js');
  };
}

export interface TargetVariant extends Variant {
  readonly kind: Kind;
  /** The name of its bundle: see lib/entries.ts. */
  readonly entry: string;
}

/** Returns all functions as they are deployed. */
export function deployed(): readonly TargetVariant[] {
  const bundles = bundle(allEntries);
  return targets.map(({ name, kind, entry }) => ({
    name,
    kind,
    entry,
    file: join(folderOf(bundles, entry), 'start.mjs'),
  }));
}

/** Returns the references for comparison: minimal functions, and one with common libraries. */
export function references(): readonly Variant[] {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  // CDK writes CommonJS, but the repository's package.json sets the type to ES modules.
  writeFileSync(join(directory, 'package.json'), '{ "type": "commonjs" }');
  const sdk: BundlingOptions = { bundleAwsSDK: true };
  const file = withCdk({
    empty: { entry: 'empty.ts' },
    bareRuntime: { entry: 'bare.ts' },
    bareBundled: { entry: 'bare.ts', bundling: sdk },
    bareMinified: { entry: 'bare.ts', bundling: { ...sdk, minify: true } },
    commonBundled: { entry: 'common.ts', bundling: sdk },
  });
  return [
    { name: 'empty handler', file: file('empty') },
    { name: 'bare DocumentClient', file: file('bareBundled') },
    { name: 'bare DocumentClient, minified', file: file('bareMinified') },
    { name: 'bare DocumentClient, the SDK of the runtime', file: file('bareRuntime') },
    { name: 'getRoom the common way', file: file('commonBundled') },
  ];
}

/** The functions whose start is also measured without each step of priming. */
const WITHOUT_STEPS = [GET_ROOM, 'addParticipants', 'message'];
const ESM_START = "export const { handler } = await import('./index.mjs');\nawait handler.ready;\n";
/** Uses V8's compile cache in a folder: see "A compile cache" in docs/operate/performance. */
const withCache = (folder: string): string =>
  `import module from 'node:module';\nmodule.enableCompileCache(${JSON.stringify(folder)});\n${START}`;

/** Returns functions with one optimization removed, to measure its benefit. */
export function steps(): readonly Variant[] {
  const bundles = bundle(allEntries);
  const chosen = targets.filter(({ name }) => WITHOUT_STEPS.includes(name));
  return [...chosen.flatMap(({ name, entry }) => priming(name, folderOf(bundles, entry))), ...bundled()];
}

/** Variants of how one function is started and primed. */
function priming(event: string, folder: string): Variant[] {
  const cached = join(directory, 'steps', `${event}-cached`);
  cpSync(folder, cached, { recursive: true });
  writeFileSync(join(cached, 'start.mjs'), withCache(join(cached, 'cache')));
  const elsewhere = join(directory, 'steps', `${event}-cached-elsewhere`);
  cpSync(folder, elsewhere, { recursive: true });
  // This folder cannot be created, like a folder beside the bundle on Lambda.
  writeFileSync(join(elsewhere, 'start.mjs'), withCache('/sys/none'));
  return [
    { name: `${event}, not primed`, event, file: join(folder, 'start.mjs'), primed: false },
    { name: `${event}, primed, but not awaited`, event, file: join(folder, 'index.js') },
    { name: `${event}, with a compile cache that fits`, event, file: join(cached, 'start.mjs') },
    { name: `${event}, with a compile cache that does not fit`, event, file: join(elsewhere, 'start.mjs') },
  ];
}

/** getRoom, bundled with one changed setting in each variant. */
function bundled(): Variant[] {
  const entry = join(root, handlerFile(routes.getRoom));
  const settings = bundling();
  const { mainFields: _, ...withoutMainFields } = settings;
  const { '@aws-sdk/credential-provider-node': __, ...otherAliases } = settings.alias;
  const { '@smithy/core/event-streams': ___, ...withEventStreams } = settings.alias;
  const build = (
    name: string,
    options: BuildOptions,
    file = 'index.js',
    start: string | Uint8Array = START,
  ): Variant => {
    const folder = join(directory, 'steps', name.replaceAll(' ', '-'));
    buildSync({ ...options, entryPoints: [entry], outfile: join(folder, file) });
    writeFileSync(join(folder, 'start.mjs'), start);
    return { name: `${GET_ROOM}, ${name}`, event: GET_ROOM, file: join(folder, 'start.mjs') };
  };
  return [
    build('as an ES module', { ...settings, format: 'esm', supported: {} }, 'index.mjs', ESM_START),
    build('with all credential providers', { ...settings, alias: otherAliases }),
    build('with event streams', { ...settings, alias: withEventStreams }),
    build('without mainFields', withoutMainFields),
    build('not minified', { ...settings, minify: false }),
    build('with names kept', { ...settings, keepNames: true }),
  ];
}
