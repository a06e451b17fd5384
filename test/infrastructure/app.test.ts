import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const node = (variables: Readonly<Record<string, string>>, ...args: string[]) => {
  const { CDK_CONTEXT_JSON: _, ...env } = process.env;
  return spawnSync(process.execPath, args, { cwd: repository, env: { ...env, ...variables }, encoding: 'utf8' });
};

describe('the CDK app', () => {
  test('reports a usage error with one sentence', () => {
    const { status, stderr } = node({}, '--require', './bin/node-version.cjs', 'bin/rooms.ts');
    expect(stderr).toBe('No environment was chosen: choose dev, staging, or prod with -c env=<name>.\n');
    expect(status).toBe(1);
  });

  test('warns that the default issuer of dev is only a placeholder', () => {
    const outdir = mkdtempSync(join(tmpdir(), 'rooms-app-'));
    const warnings = (context: object): string[] => {
      const { status, stderr } = node(
        {
          CDK_OUTDIR: outdir,
          CDK_CONTEXT_JSON: JSON.stringify({ env: 'dev', ...context }),
          // best-practice.test.ts validates the templates.
          CDK_VALIDATION: 'false',
        },
        'bin/rooms.ts',
      );
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      const metadata = readFileSync(join(outdir, 'rooms-dev-http.metadata.json'), 'utf8');
      return metadata.match(/The issuer \S+ is a placeholder[^"]*/g) ?? [];
    };
    expect(warnings({})).toEqual([expect.stringContaining('deploy with -c issuer=<URL>.')]);
    expect(warnings({ issuer: 'https://iams.test.example/realms/rooms' })).toEqual([]);
    rmSync(outdir, { recursive: true });
  });

  test('reports that Node is too old', () => {
    const pretend = `
      Object.defineProperty(process.versions, 'node', { value: '20.19.0' });
      require('./bin/node-version.cjs');
      console.log('went on');
    `;
    const { status, stderr, stdout } = node({}, '--eval', pretend);
    expect(stderr).toBe(
      'This app needs Node 24 or newer, but this is 20.19.0. Run "npx cdk …", which uses the Node that "npm ci" installed.\n',
    );
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  test('is started by the CDK with the check of the Node version', () => {
    const { app } = JSON.parse(readFileSync(new URL('../../cdk.json', import.meta.url), 'utf8')) as { app: string };
    expect(app).toBe('node --require ./bin/node-version.cjs bin/rooms.ts');
  });
});
