import { describe, expect, test } from 'vitest';
import { RoomsApiError } from '../../../client/src/index.ts';
import { endProblem } from '../../../web/src/list/end-problem.ts';
import { sayError, sayProblem } from '../../../web/src/session/errors.ts';
import { fileProblem } from '../../../web/src/session/file-limits.ts';
import { asSentence, moment, userIds, userIdsProblem, wholeNumber } from '../../../web/src/ui/text.ts';

describe('errors', () => {
  test.each([
    ['end_time', 'must be in the future', 'The end must be in the future.'],
    [
      'start_time',
      'must not be in the past; leave it out to start now',
      'The start must not be in the past; leave it out to start now.',
    ],
    ['participant_ids.3', 'must not be empty', 'User ID 4 must not be empty.'],
    ['time_left_in_seconds', 'must be at least 0', 'The time until the end must be at least 0.'],
    ['size', 'must be at most 104857600 bytes', 'The file’s size must be at most 105 MB.'],
    [
      undefined,
      'must have at least one of username, archive_room',
      'Must have at least one of username, archive room.',
    ],
  ])('describe the field in words: %s', (path, message, sentence) => {
    expect(sayProblem(path, message)).toBe(sentence);
  });

  test('show times in the local time zone', () => {
    const time = '2026-03-01T09:30:00.000Z';
    expect(sayProblem('end_time', `must be after start_time, ${time}`)).toBe(
      `The end must be after the start, ${moment(time)}.`,
    );
    const error = new RoomsApiError('idempotency_conflict', `The room starts at ${time}.`);
    expect(sayError(error)).toBe(`The room starts at ${moment(time)}.`);
  });

  test('contain every validation error of a rejected request', () => {
    const error = new RoomsApiError('invalid_request', 'The request is not valid.', {
      status: 400,
      errors: [
        { code: 'invalid_request', message: 'must not be empty', path: 'name' },
        { code: 'invalid_request', message: 'must be in the future', path: 'end_time' },
      ],
    });
    expect(sayError(error)).toBe('The name must not be empty. The end must be in the future.');
  });
});

describe('numbers and lists that people type', () => {
  test.each(['', ' ', '-1', '1.5', '1e3', 'five', '0x10', 'Infinity', '٣'])('%j is not a whole number', (text) => {
    expect(wholeNumber(text)).toBeUndefined();
  });

  test.each([
    ['0', 0],
    ['5', 5],
    [' 10 ', 10],
    ['525600', 525_600],
  ])('%j is a whole number', (text, number) => {
    expect(wholeNumber(text)).toBe(number);
  });

  test('reports an invalid user ID, and the maximum number of users per request', () => {
    expect(userIdsProblem(userIds('bob, carol; dave\nerin'))).toBeUndefined();
    expect(userIdsProblem(['bob', 'two/words'])).toContain('“two/words” is not a user ID.');
    expect(userIdsProblem(['x'.repeat(129)])).toBe('User IDs have at most 128 characters.');
    expect(userIdsProblem(Array.from({ length: 51 }, (_, index) => `user-${index}`))).toBe(
      'Add at most 50 users at a time; these are 51.',
    );
  });

  test('rejects an end in the past, which would end the room at once', () => {
    const now = Date.parse('2026-03-01T09:30:00.000Z');
    expect(endProblem('2026-03-01T09:30:00.000Z', now)).toContain('The end must be in the future.');
    expect(endProblem('2026-03-01T09:31:00.000Z', now)).toBeUndefined();
    expect(endProblem(null, now)).toBeUndefined();
  });
});

test.each([
  ['Done', 'Done.'],
  ['Alice A.', 'Alice A.'],
  ['Really?', 'Really?'],
  ['“Alice A.”', '“Alice A.”'],
  ['“Alice”', '“Alice”.'],
])('a sentence ends with one period: %s', (text, sentence) => {
  expect(asSentence(text)).toBe(sentence);
});

test('checks a file when it is chosen, and reports its name', () => {
  expect(fileProblem({ name: 'a.txt', size: 1 })).toBeUndefined();
  expect(fileProblem({ name: 'a.txt', size: 100 * 1024 * 1024 })).toBeUndefined();
  expect(fileProblem({ name: 'empty.txt', size: 0 })).toBeUndefined();
  expect(fileProblem({ name: 'a.iso', size: 700_000_000 })).toBe(
    '“a.iso” is too large (700 MB). Files may have up to 105 MB.',
  );
  expect(fileProblem({ name: 'x'.repeat(256), size: 1 })).toContain('too long');
});
