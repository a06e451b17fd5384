import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const node = (...args: string[]) => {
  const { CDK_CONTEXT_JSON: _, ...env } = process.env;
  return spawnSync(process.execPath, args, { cwd: repository, env, encoding: 'utf8' });
};

describe('the CDK app', { timeout: 60_000 }, () => {
  it('answers a mistake with one sentence', () => {
    const { status, stderr } = node('--require', './bin/node-version.cjs', 'bin/rooms.ts');
    expect(stderr).toBe('No environment was chosen: choose local, dev, staging or prod with -c env=<name>.\n');
    expect(status).toBe(1);
  });

  it('says so when Node is too old for it', () => {
    const pretend = `
      Object.defineProperty(process.versions, 'node', { value: '20.19.0' });
      require('./bin/node-version.cjs');
      console.log('went on');
    `;
    const { status, stderr, stdout } = node('--eval', pretend);
    expect(stderr).toBe(
      'This app needs Node 24 or newer, and this is 20.19.0: run it as "npx cdk …", which takes the Node that "npm ci" installed.\n',
    );
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  it('is started by the CDK with that check', () => {
    const { app } = JSON.parse(readFileSync(new URL('../../cdk.json', import.meta.url), 'utf8')) as { app: string };
    expect(app).toBe('node --require ./bin/node-version.cjs bin/rooms.ts');
  });
});
