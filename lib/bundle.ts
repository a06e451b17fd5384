import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { handlerFile, kebab } from '../core/contract/index.ts';
import type { Route } from '../core/contract/route.ts';
import { UsageError } from './usage-error.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));

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

/**
 * Bundles the handlers of all routes in one run of esbuild, and returns the folder of each operation's bundle: it holds
 * `index.mjs`, which exports `handler`, and nothing else. Throws UsageError where a route has no handler file.
 *
 * The size of a bundle is start-up time. So packages are taken in their ES module form, of which esbuild leaves out what is
 * not used, and the SDK's search for credentials is replaced (see core/aws/environment-credentials.ts). No source maps and no
 * `--enable-source-maps`: reading them would be start-up time too.
 */
export function bundle(routes: readonly Route[], root: string = repository): ReadonlyMap<string, string> {
  const missing = routes.filter((route) => !existsSync(join(root, handlerFile(route))));
  if (missing.length > 0)
    throw new UsageError(
      `Every route needs a handler file that exports "handler": ${missing
        .map((route) => `${route.operation} expects ${handlerFile(route)}`)
        .join(', ')}.`,
    );

  const build = join(root, '.build');
  const { outputFiles, metafile } = buildSync({
    absWorkingDir: root,
    entryPoints: routes.map((route) => ({ in: handlerFile(route), out: `${kebab(route.operation)}/index` })),
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
  return new Map(routes.map(({ operation }) => [operation, join(build, 'functions', kebab(operation))]));
}
