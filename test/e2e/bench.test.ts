import * as v from 'valibot';
import { expect, test } from 'vitest';
import { npm } from './npm-start.ts';

const line = v.object({ connections: v.number(), first: v.number(), last: v.number() });

test('npm run bench:fanout measures the requested cases', async () => {
  const options = ['--sizes', '2,30', '--rounds', '2', '--latency', '1', '--json'];
  const { code, stdout, stderr } = await npm('run', '-s', 'bench:fanout', '--', ...options).ended;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const lines = v.parse(v.array(line), JSON.parse(stdout));
  expect(lines.map(({ connections }) => connections)).toEqual([2, 30]);
  // A message arrives after it is sent, and the last connection receives it after the first.
  for (const { first, last } of lines) expect(0 < first && first <= last).toBe(true);
});

test('npm run bench:fanout rejects unsupported options', async () => {
  const { code, stderr } = await npm('run', '-s', 'bench:fanout', '--', '--sizes', 'many').ended;
  expect(stderr).toMatch(/--sizes takes whole numbers from 1 to \d+, not "many"/);
  expect(code).toBe(2);
});
