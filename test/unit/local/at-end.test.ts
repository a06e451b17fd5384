import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';

const MODULE = resolve(import.meta.dirname, '../../../local/at-end.ts');

/** Runs code that may use `atEnd`, sends it a signal when it says that it is ready, and gives what became of it. */
async function run(code: string, signal?: NodeJS.Signals) {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '--eval', `import { atEnd } from ${JSON.stringify(MODULE)};${code}`],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  if (signal)
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.includes('ready')) child.kill(signal);
    });
  const [said] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return { said: said.split('\n').filter((line) => line !== ''), code: child.exitCode, signal: child.signalCode };
}

const TWO = `
  atEnd(() => console.log('first'));
  atEnd(() => console.log('second'));`;
const WAIT = `
  setInterval(() => {}, 1_000);
  console.log('ready');`;

it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  'cleans up at %s, the last one first, and ends by it',
  async (signal) => {
    expect(await run(TWO + WAIT, signal)).toEqual({ said: ['ready', 'second', 'first'], code: null, signal });
  },
);

it('leaves a signal to whoever listens for it, and cleans up when they end the process', async () => {
  const code = `${TWO} process.on('SIGINT', () => { console.log('closing'); process.exit(3); });${WAIT}`;
  expect(await run(code, 'SIGINT')).toEqual({ said: ['ready', 'closing', 'second', 'first'], code: 3, signal: null });
});

it('cleans up after an error, and not what has been called off', async () => {
  const code = `${TWO} atEnd(() => console.log('third'))(); throw new Error('on purpose');`;
  expect(await run(code)).toEqual({ said: ['second', 'first'], code: 1, signal: null });
});

it('is in nobody’s way once all has been called off', async () => {
  const code = `atEnd(() => console.log('first'))(); console.log(process.listenerCount('SIGINT'), process.listenerCount('exit'));`;
  expect(await run(code)).toEqual({ said: ['0 0'], code: 0, signal: null });
});
