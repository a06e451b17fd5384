import { expect, test } from 'vitest';
import { flameGraph } from '../../bench/common/flame.ts';
import type { CpuProfile } from '../../bench/common/profile.ts';

const node = (id: number, functionName: string, url: string, children: number[] = []) => ({
  id,
  callFrame: { functionName, url },
  children,
});

/** All of 1 ms: 0.6 in the store, called by a handler that took 0.2 itself, and 0.2 in a package; and 9 ms of nothing. */
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

test('a flame graph has each frame with its share and that of all its callees, the widest first', () => {
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

test('an idle profile still gives a graph', () => {
  expect(titles(flameGraph('x', [{ nodes: [], samples: [], timeDeltas: [] }]))).toEqual([]);
});
