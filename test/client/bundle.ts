import { resolve } from 'node:path';
import { build } from 'esbuild';

export const CLIENT = resolve(import.meta.dirname, '../../client');

/** The whole package as a browser would load it. */
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
