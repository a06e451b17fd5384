import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { expect } from 'vitest';
import { bundle } from '../../lib/bundle.ts';
import { allEntries } from '../../lib/entries.ts';
import { chosenEnvironment, type Environment, type EnvironmentName, environmentNames } from '../../lib/environments.ts';
import { addStacks } from '../../lib/rooms-app.ts';

/** The feature flags that the CDK CLI would pass to the app. */
const { context } = JSON.parse(readFileSync(new URL('../../cdk.json', import.meta.url), 'utf8'));

export const ISSUER = 'https://iams.test.example/realms/rooms';
export const AUDIENCE = ['rooms', 'rooms-cli'];

const synthesized = new Map<string, ReturnType<typeof synthesizeAnew>>();

/**
 * Synthesizes the stacks of an environment, with the issuer and audience above. Results are cached across test files.
 */
export function synthesize(
  env: EnvironmentName,
  settings: Partial<Environment> = {},
): ReturnType<typeof synthesizeAnew> {
  const key = JSON.stringify([env, settings]);
  const stacks = synthesized.get(key) ?? synthesizeAnew(env, settings);
  synthesized.set(key, stacks);
  return stacks;
}

function synthesizeAnew(env: EnvironmentName, settings: Partial<Environment>) {
  const outdir = mkdtempSync(join(tmpdir(), 'rooms-synth-'));
  const app = new App({
    outdir,
    context: { ...context, 'aws:cdk:version-reporting': false },
    // Validation takes longer than everything else. best-practice.test.ts validates the templates of every environment.
    builtinCloudFormationValidation: false,
  });
  const given = {
    env,
    issuer: ISSUER,
    audience: AUDIENCE.join(','),
    allowedOrigins: 'https://ops.test.example',
  };
  const { data, http, realtime, monitoring } = addStacks(app, {
    ...chosenEnvironment(given, environmentNames),
    ...settings,
  });
  const templates = {
    data: Template.fromStack(data),
    http: Template.fromStack(http),
    realtime: Template.fromStack(realtime),
    /** Undefined in environments without monitoring. */
    monitoring: monitoring && Template.fromStack(monitoring),
    protected: [data, http, realtime, ...(monitoring ? [monitoring] : [])].map((stack) => stack.terminationProtection),
    /** The name of the entry whose code a function has, given the properties of the function. */
    codeOf: (fn: unknown): string => codeByKey.get(String(at(fn, 'Code', 'S3Key'))) ?? 'none of ours',
  };
  const codeByKey = codeByAsset(outdir);
  rmSync(outdir, { recursive: true });
  return templates;
}

/** The name of the entry of each asset, by asset key. Compares the contents of the files. */
function codeByAsset(outdir: string): ReadonlyMap<string, string> {
  const nameByCode = new Map(
    [...bundle(allEntries)].map(([name, folder]) => [readFileSync(join(folder, 'index.js'), 'utf8'), name]),
  );
  expect(nameByCode.size).toBe(allEntries.length);
  const manifests = globSync('*.assets.json', { cwd: outdir }).map((file): unknown =>
    JSON.parse(readFileSync(join(outdir, file), 'utf8')),
  );
  return new Map(
    manifests
      .flatMap((manifest) => Object.values(Object(at(manifest, 'files'))))
      .filter((file) => at(file, 'source', 'packaging') === 'zip')
      .map((file): [string, string] => {
        const code = readFileSync(join(outdir, String(at(file, 'source', 'path')), 'index.js'), 'utf8');
        const [destination] = Object.values(Object(at(file, 'destinations')));
        return [String(at(destination, 'objectKey')), nameByCode.get(code) ?? 'none of ours'];
      }),
  );
}

/** Returns the value at a path in a template. @throws if there is none */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((inner, key) => {
    const found = typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined;
    if (found === undefined) throw new Error(`No ${key} in ${JSON.stringify(inner)}`);
    return found;
  }, value);
}

/** The properties of all resources of a type, by logical id. */
export const ofType = (template: Template, type: string): ReadonlyMap<string, unknown> =>
  new Map(
    Object.entries(template.findResources(type)).map(([id, resource]) => [id, resource.Properties ?? {}] as const),
  );

/** The only resource of a type. */
export function onlyOne(template: Template, type: string): { id: string; properties: unknown } {
  const [first, ...more] = ofType(template, type);
  if (first === undefined || more.length > 0) throw new Error(`Not exactly one ${type}.`);
  return { id: first[0], properties: first[1] };
}

/** How many resources of each type a template has. */
export function countByType(template: Template): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { Type } of Object.values(template.toJSON().Resources as Record<string, { Type: string }>))
    counts[Type] = (counts[Type] ?? 0) + 1;
  return counts;
}

/** A value in which each import is replaced by the value that the other stack exports. */
export function withImports(value: unknown, exporter: Template): unknown {
  const exported = new Map(
    Object.values(exporter.findOutputs('*'))
      .filter((output) => output.Export !== undefined)
      .map((output) => [at(output, 'Export', 'Name'), output.Value]),
  );
  const resolve = (inner: unknown): unknown => {
    if (Array.isArray(inner)) return inner.map(resolve);
    if (typeof inner !== 'object' || inner === null) return inner;
    if ('Fn::ImportValue' in inner) {
      const found = exported.get(inner['Fn::ImportValue']);
      if (found === undefined) throw new Error(`Nothing is exported as ${JSON.stringify(inner['Fn::ImportValue'])}.`);
      return found;
    }
    return Object.fromEntries(Object.entries(inner).map(([key, each]) => [key, resolve(each)]));
  };
  return resolve(value);
}
