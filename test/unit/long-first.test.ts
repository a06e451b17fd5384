import { expect, test } from 'vitest';
import { longFirst } from '../support/long-first.ts';

const file = (path: string) => ({ path: `/rooms/test/${path}.test.ts`, project: path.split('/')[0] ?? '' });

test('starts with the long files, and alternates between the projects', () => {
  const files = ['browser/a', 'browser/everyday', 'client/a', 'client/b', 'client/c', 'client/d', 'client/rooms-v1'];
  expect(longFirst(files.map(file))).toEqual(
    ['browser/everyday', 'client/rooms-v1', 'browser/a', 'client/a', 'client/b', 'client/c', 'client/d'].map(file),
  );
});
