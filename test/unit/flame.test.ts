import { expect, test } from 'vitest';
import { flameGraph } from '../../bench/common/flame.ts';
import type { CpuProfile } from '../../bench/common/profile.ts';

const node = (id: number, functionName: string, url: string, children: number[] = []) => ({
  id,
  callFrame: { functionName, url },
  children,
});

/**
 * 1 ms of work: 0.6 ms in the store, called by a handler with 0.2 ms itself, and 0.2 ms in a package. Then 9 ms idle.
 */
const profile: CpuProfile = {
  nodes: [
    node(1, '(root)', '', [2, 3, 5, 6]),
    node(2, '(idle)', ''),
    node(3, 'handler', 'file:///a/functions/http/get-room.ts', [4]),
    node(4, 'get<Item>', 'file:///a/core/store/read.ts'),
    node(5, 'send', 'file:///a/node_modules/@aws-sdk/core/index.js'),
    node(6, 'post', 'node:inspector'),
  ],
  samples: [2, 3, 4, 5, 6],
  timeDeltas: [9_000, 200, 600, 200, 5_000],
};
const titles = (svg: string) => [...svg.matchAll(/<title>(.*?)<\/title>/g)].map(([, title]) => title);

test('a flame graph shows each frame with its share including callees, widest first', () => {
  expect(titles(flameGraph('x', [profile]))).toEqual([
    'all  100.0 %',
    'handler  functions/http/get-room.ts  80.0 %',
    'get&lt;Item>  core/store/read.ts  60.0 %',
    'send  @aws-sdk/core  20.0 %',
  ]);
});

test('frames of several profiles with the same callers are merged', () => {
  expect(titles(flameGraph('x', [profile, profile]))).toEqual(titles(flameGraph('x', [profile])));
});

test('an idle profile gives a graph, too', () => {
  expect(titles(flameGraph('x', [{ nodes: [], samples: [], timeDeltas: [] }]))).toEqual([]);
});
