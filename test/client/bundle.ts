import { resolve } from 'node:path';
import { build } from 'esbuild';

export const CLIENT = resolve(import.meta.dirname, '../../client');

/** Bundles and minifies only these exports of the package. */
export async function bundleOf(...names: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
  const { outputFiles } = await build({
    stdin: { contents: `export { ${names.join(', ')} } from './index.ts';`, resolveDir: resolve(CLIENT, 'src') },
    bundle: true,
    minify: true,
    platform: 'browser',
    target: 'es2022',
    write: false,
    format: 'esm',
  });
  const [file] = outputFiles;
  if (!file) throw new Error('The bundle is empty.');
  return new Uint8Array(file.contents);
}

/** Bundles the whole package for a browser. */
export async function browserBundle(globalName?: string): Promise<Uint8Array<ArrayBuffer>> {
  const { outputFiles } = await build({
    entryPoints: [resolve(CLIENT, 'src/index.ts')],
    bundle: true,
    minify: true,
    platform: 'browser',
    target: 'es2022',
    write: false,
    ...(globalName ? { format: 'iife', globalName } : { format: 'esm' }),
  });
  const [file] = outputFiles;
  if (!file) throw new Error('The bundle is empty.');
  return new Uint8Array(file.contents);
}
