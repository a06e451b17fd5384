import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { App, Stack } from 'aws-cdk-lib';
import { Runtime } from 'aws-cdk-lib/aws-lambda';
import { type BundlingOptions, NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs';
import { type BuildOptions, buildSync } from 'esbuild';
import * as v from 'valibot';
import { allRoutes, handlerFile, routes } from '../../core/contract/index.ts';
import { bundle, bundling, folderOf } from '../../lib/bundle.ts';
import { allEntries, httpEntry } from '../../lib/entries.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** In the repository: what a bundle leaves to the runtime, the SDK, is found in node_modules. */
const directory = join(root, '.build/bench');

/** A file to start, and whether it starts with a compile cache. */
export interface Variant {
  readonly name: string;
  readonly file: string;
  readonly cache?: string;
}

const functionTemplate = v.object({
  Type: v.literal('AWS::Lambda::Function'),
  Metadata: v.object({ 'aws:asset:path': v.string() }),
});
const template = v.object({ Resources: v.record(v.string(), v.unknown()) });

/** Bundles files of this folder with CDK's own NodejsFunction: what a user gets who asks for nothing else. */
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

/** The least, the alternatives, and every function of the HTTP API as it is deployed. */
export function deployed(): { readonly references: readonly Variant[]; readonly functions: readonly Variant[] } {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  // CDK writes CommonJS, which the repository's own package.json denies.
  writeFileSync(join(directory, 'package.json'), '{ "type": "commonjs" }');
  const sdk: BundlingOptions = { bundleAwsSDK: true };
  const file = withCdk({
    empty: { entry: 'empty.ts' },
    bareRuntime: { entry: 'bare.ts' },
    bareBundled: { entry: 'bare.ts', bundling: sdk },
    bareMinified: { entry: 'bare.ts', bundling: { ...sdk, minify: true } },
    commonBundled: { entry: 'common.ts', bundling: sdk },
  });
  const bundles = bundle(allEntries);
  return {
    references: [
      { name: 'empty handler', file: file('empty') },
      { name: 'bare DocumentClient', file: file('bareBundled') },
      { name: 'bare DocumentClient, minified', file: file('bareMinified') },
      { name: 'bare DocumentClient, the SDK of the runtime', file: file('bareRuntime') },
      { name: 'getRoom the common way', file: file('commonBundled') },
    ],
    functions: allRoutes.map((route) => ({
      name: route.operation,
      file: join(folderOf(bundles, httpEntry(route).name), 'start.mjs'),
    })),
  };
}

/** getRoom bundled with one thing changed: what it brings is seen where it is missing. */
export function steps(): readonly Variant[] {
  const entry = join(root, handlerFile(routes.getRoom));
  const settings = bundling();
  const { mainFields: _, ...withoutMainFields } = settings;
  const { '@aws-sdk/credential-provider-node': __, ...otherAliases } = settings.alias;
  const { '@smithy/core/event-streams': ___, ...withEventStreams } = settings.alias;
  const build = (name: string, options: BuildOptions, file = 'index.js'): Variant => {
    const outfile = join(directory, 'steps', name.replaceAll(' ', '-'), file);
    buildSync({ ...options, entryPoints: [entry], outfile });
    return { name, file: outfile };
  };
  const asIs = build('as it is', settings);
  return [
    asIs,
    build('as an ES module', { ...settings, format: 'esm', supported: {} }, 'index.mjs'),
    build('with all credential providers', { ...settings, alias: otherAliases }),
    build('with event streams', { ...settings, alias: withEventStreams }),
    build('without mainFields', withoutMainFields),
    build('not minified', { ...settings, minify: false }),
    build('with names kept', { ...settings, keepNames: true }),
    { ...asIs, name: 'with a compile cache that fits', cache: join(directory, 'cache') },
  ];
}
