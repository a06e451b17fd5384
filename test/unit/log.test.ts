import { afterEach, expect, test, vi } from 'vitest';
import { describeError, logError } from '../../core/platform/log.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

test('an error in a log line has its name, message, stack and causes', () => {
  const cause = new TypeError('inner');
  const error = new Error('outer', { cause });
  expect(describeError(error)).toEqual({
    name: 'Error',
    message: 'outer',
    stack: error.stack,
    cause: { name: 'TypeError', message: 'inner', stack: cause.stack },
  });
});

test('a thrown value that is not an error is logged with its type as name', () => {
  expect(describeError('no reason')).toEqual({ name: 'string', message: 'no reason' });
  expect(describeError(undefined)).toEqual({ name: 'undefined', message: 'undefined' });
});

test('an error that is its own cause is logged with at most five causes', () => {
  const error = new Error('loop');
  error.cause = error;
  const described = JSON.stringify(describeError(error));
  expect(described.split('"loop"')).toHaveLength(7);
});

test('a log line about an error keeps its other fields', () => {
  const logged = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  logError({ action: 'drop', room_id: 'r' }, new RangeError('too far'));
  expect(logged).toHaveBeenCalledExactlyOnceWith({
    action: 'drop',
    room_id: 'r',
    error: expect.objectContaining({ name: 'RangeError', message: 'too far' }),
  });
});
