import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Metafile } from 'esbuild';
import { describe, expect, it, onTestFinished } from 'vitest';
import { allRoutes, handlerFile } from '../../core/contract/index.ts';
import { bundle } from '../../lib/bundle.ts';
import { UsageError } from '../../lib/usage-error.ts';

/** The size of a bundle is start-up time (see lib/bundle.ts). In bytes, minified. */
const BUDGET = 250_000;

const repository = fileURLToPath(new URL('../..', import.meta.url));
const folders = bundle(allRoutes);
const files = new Map([...folders].map(([operation, folder]) => [operation, join(folder, 'index.mjs')]));
const bundleOf = (operation: string): string => {
  const file = files.get(operation);
  if (file === undefined) throw new Error(`${operation} has no bundle.`);
  return file;
};

/** What esbuild says of a bundle: what it was built from, and what it imports. */
function builtFrom(operation: string): Metafile['outputs'][string] {
  const { outputs }: Metafile = JSON.parse(readFileSync(join(repository, '.build/meta.json'), 'utf8'));
  const found = Object.entries(outputs).find(([file]) => bundleOf(operation) === join(repository, file));
  if (found === undefined) throw new Error(`.build/meta.json says nothing of ${operation}.`);
  return found[1];
}

describe('handler files and routes', () => {
  it('are one to one', () => {
    const found = globSync('functions/http/**/*', { cwd: repository, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(repository.length));
    expect(found.sort()).toEqual(allRoutes.map(handlerFile).sort());
  });

  it('without a file, a route is told which one it expects', () => {
    const root = mkdtempSync(join(tmpdir(), 'rooms-bundle-'));
    onTestFinished(() => rmSync(root, { recursive: true }));
    cpSync(join(repository, 'functions'), join(root, 'functions'), { recursive: true });
    rmSync(join(root, 'functions/http/admin/grant-admin.ts'));
    expect(() => bundle(allRoutes, root)).toThrow(
      new UsageError(
        'Every route needs a handler file that exports "handler": grantAdmin expects functions/http/admin/grant-admin.ts.',
      ),
    );
  });
});

describe('the bundles', () => {
  it('load by themselves, and export a handler', { timeout: 60_000 }, () => {
    const script = `
      for (const url of process.argv.slice(1)) if (typeof (await import(url)).handler !== 'function') throw new Error(url);
    `;
    const urls = [...files.values()].map((file) => pathToFileURL(file).href);
    // From another folder, so that a package left out of a bundle is not found in node_modules.
    const alone = mkdtempSync(join(tmpdir(), 'rooms-bundle-'));
    onTestFinished(() => rmSync(alone, { recursive: true }));
    const copies = urls.map((url, i) => {
      const copy = join(alone, `${i}.mjs`);
      cpSync(fileURLToPath(url), copy);
      return pathToFileURL(copy).href;
    });
    execFileSync(process.execPath, ['--input-type=module', '--eval', script, ...copies], {
      cwd: alone,
      env: {
        AWS_REGION: 'eu-central-1',
        TABLE_NAME: 'table',
        BUCKET_NAME: 'bucket',
        MAX_UPLOAD_BYTES: '1',
        CURSOR_KEY: 'key',
      },
      stdio: 'pipe',
    });
  });

  it('need nothing but what Node has', () => {
    for (const { operation } of allRoutes) {
      const imports = builtFrom(operation).imports.filter(({ external }) => external);
      expect(imports.length).toBeGreaterThan(0);
      expect(imports.map(({ path }) => path).filter((path) => !isBuiltin(path))).toEqual([]);
      // What esbuild writes where a CommonJS package asks for a module at run time, which an ES module cannot do.
      expect(readFileSync(bundleOf(operation), 'utf8'), operation).not.toContain('Dynamic require of');
    }
  });

  it.each(allRoutes.filter(({ access }) => !access.bucket).map(({ operation }) => operation))(
    '%s is within the budget',
    (operation) => {
      expect(statSync(bundleOf(operation)).size).toBeLessThanOrEqual(BUDGET);
    },
  );

  it('leave out the search for credentials, and S3 where no file is signed', () => {
    for (const { operation, access } of allRoutes) {
      const inputs = Object.keys(builtFrom(operation).inputs).join('\n');
      expect(inputs).toContain('core/aws/environment-credentials.ts');
      expect(inputs).not.toContain('@aws-sdk/credential-provider');
      expect(inputs.includes('@aws-sdk/client-s3'), operation).toBe(access.bucket !== undefined);
    }
  });

  it('are left alone when nothing changed, and written when something did', { timeout: 60_000 }, () => {
    const file = bundleOf('getRoom');
    const { mtimeMs } = statSync(file);
    bundle(allRoutes);
    expect(statSync(file).mtimeMs).toBe(mtimeMs);

    const root = mkdtempSync(join(tmpdir(), 'rooms-bundle-'));
    onTestFinished(() => rmSync(root, { recursive: true }));
    const [route] = allRoutes;
    if (route === undefined) throw new Error('There is no route.');
    cpSync(join(repository, 'core/aws'), join(root, 'core/aws'), { recursive: true });
    const source = join(root, handlerFile(route));
    cpSync(join(repository, handlerFile(route)), source);
    const built = (answer: string): string => {
      writeFileSync(source, `export const handler = () => '${answer}';`);
      return readFileSync(join(bundle([route], root).get(route.operation) ?? '', 'index.mjs'), 'utf8');
    };
    expect(built('one')).toContain('one');
    expect(built('two')).toContain('two');
  });
});
