import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onExit } from 'signal-exit';
import * as v from 'valibot';
import { readTemplate, type StackTemplate } from './template.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Assembly {
  readonly stacks: readonly StackTemplate[];
  /** Maps the object key of an asset in a template (as in Code.S3Key) to its directory or file on this machine. */
  readonly assets: ReadonlyMap<string, string>;
}

/**
 * Synthesizes the environment `local`, and reads the cloud assembly. Does not run the CDK CLI or the validation of templates, which
 * take 6 of 7 seconds. Tests validate the templates of every environment.
 *
 * @param context the app's context values, such as the issuer
 * @param directory the output folder of the assembly
 * @throws with the output of the CDK if it fails
 */
export async function synthesize(
  context: Readonly<Record<string, string>>,
  directory: string,
  signal: AbortSignal,
): Promise<Assembly> {
  const settings = v.parse(cdkJson, JSON.parse(await readFile(join(ROOT, 'cdk.json'), 'utf8')));
  const variables = {
    CDK_OUTDIR: directory,
    CDK_CONTEXT_JSON: JSON.stringify({
      ...settings.context,
      'aws:cdk:version-reporting': false,
      env: 'local',
      ...context,
    }),
    CDK_VALIDATION: 'false',
  };
  await run(process.execPath, ['bin/rooms-local.ts'], variables, signal);
  return readAssembly(directory);
}

const cdkJson = v.object({ context: v.record(v.string(), v.unknown()) });

const manifestFile = v.object({
  artifacts: v.record(
    v.string(),
    v.object({
      type: v.string(),
      displayName: v.optional(v.string()),
      properties: v.optional(
        v.object({
          templateFile: v.optional(v.string()),
          stackName: v.optional(v.string()),
          file: v.optional(v.string()),
        }),
        {},
      ),
    }),
  ),
});

const assetsFile = v.object({
  files: v.record(
    v.string(),
    v.object({
      source: v.object({ path: v.optional(v.string()) }),
      destinations: v.record(v.string(), v.object({ objectKey: v.string() })),
    }),
  ),
});

/** Reads a cloud assembly: the templates of its stacks and the paths of their assets. */
export async function readAssembly(directory: string): Promise<Assembly> {
  const readJson = async (file: string): Promise<unknown> => JSON.parse(await readFile(join(directory, file), 'utf8'));
  const { artifacts } = v.parse(manifestFile, await readJson('manifest.json'));
  const stacks: StackTemplate[] = [];
  const assets = new Map<string, string>();
  for (const [id, { type, properties }] of Object.entries(artifacts)) {
    if (type === 'aws:cloudformation:stack' && properties.templateFile)
      stacks.push(readTemplate(properties.stackName ?? id, await readJson(properties.templateFile)));
    if (type === 'cdk:asset-manifest' && properties.file)
      for (const { source, destinations } of Object.values(v.parse(assetsFile, await readJson(properties.file)).files))
        for (const { objectKey } of Object.values(destinations))
          if (source.path) assets.set(objectKey, resolve(directory, source.path));
  }
  return { stacks, assets };
}

function run(
  command: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      // A separate process group, so that esbuild can be killed with it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...variables },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
      });
    const kill = (): void => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
    };
    const ended = onExit(kill);
    signal.addEventListener('abort', kill, { once: true });
    if (signal.aborted) kill();
    child.on('error', reject);
    child.on('close', (code) => {
      ended();
      signal.removeEventListener('abort', kill);
      if (signal.aborted) reject(signal.reason);
      else if (code === 0) resolve();
      else reject(new Error(`The CDK app failed (exit code ${code}):\n${output.trim()}`));
    });
  });
}
