import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  chooseStack,
  type Endpoints,
  removeEndpoints,
  runningStacks,
  StackChoiceError,
  writeEndpoints,
} from '../../../local/cli/endpoints.ts';

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'rooms-state-'));
});
afterEach(() => rm(state, { recursive: true }));

const at = (port: number, pid = process.pid): Endpoints => ({
  http: `http://127.0.0.1:${port}`,
  ws: `ws://127.0.0.1:${port + 4}/v1`,
  issuer: `http://127.0.0.1:${port + 1}`,
  issuerIsLocal: true,
  pid,
});

test('finds no stack without endpoints', async () => {
  expect(await runningStacks(join(state, 'nowhere'))).toEqual([]);
  expect(await chooseStack(state)).toBeUndefined();
  expect(await chooseStack(state, 4000)).toBeUndefined();
});

test('finds the only stack without its port', async () => {
  await writeEndpoints(at(4010), state);
  expect(await chooseStack(state)).toEqual(at(4010));
  expect(await readdir(join(state, '4010'))).toEqual(['endpoints.json']);
});

test('chooses one of several by its port, and never guesses', async () => {
  for (const port of [10_000, 4010, 4000]) await writeEndpoints(at(port), state);
  expect(await chooseStack(state, 4010)).toEqual(at(4010));
  await expect(chooseStack(state)).rejects.toThrow(
    new StackChoiceError(
      'Several local stacks are running: http://127.0.0.1:4000, http://127.0.0.1:4010, http://127.0.0.1:10000. ' +
        'Choose one by its port, such as --port 4000.',
    ),
  );
  await expect(chooseStack(state, 4020)).rejects.toThrow(
    'No local stack is running on port 4020, but on http://127.0.0.1:4000',
  );
});

test('finds the other stacks after one has stopped', async () => {
  await writeEndpoints(at(4000), state);
  await writeEndpoints(at(4010), state);
  await removeEndpoints(at(4010), state);
  expect(await chooseStack(state)).toEqual(at(4000));
});

test('does not find a stack that was killed', async () => {
  // No process has this ID: the maximum is 2^22 on Linux, and 99,998 on macOS.
  await writeEndpoints(at(4000, 2 ** 30), state);
  await writeEndpoints(at(4010), state);
  expect(await chooseStack(state)).toEqual(at(4010));
});
