import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { failedItems } from '../../../local/lambda/event-source-mapping.ts';
import { afterBatch, type Batch } from '../../../local/streams/stream-batch.ts';
import { compileFilters, compilePattern } from '../../../tools/aws/event-pattern.ts';

describe('an event pattern', () => {
  const message = { eventName: 'INSERT', dynamodb: { Keys: { PK: { S: 'CHAT#1' }, SK: { S: 'MESSAGE#1' } } } };
  test.each([
    [{ eventName: ['INSERT'] }, true],
    [{ eventName: ['MODIFY', 'INSERT'] }, true],
    [{ eventName: ['MODIFY'] }, false],
    [{ dynamodb: { Keys: { SK: { S: [{ prefix: 'MESSAGE#' }] } } } }, true],
    [{ dynamodb: { Keys: { SK: { S: ['ROOM', { prefix: 'PARTICIPANT#' }] } } } }, false],
    [{ eventName: ['MODIFY'], dynamodb: { Keys: { SK: { S: [{ prefix: 'MESSAGE#' }] } } } }, false],
    [{ $or: [{ eventName: ['MODIFY'] }, { dynamodb: { Keys: { SK: { S: [{ suffix: '#1' }] } } } }] }, true],
    [{ dynamodb: { NewImage: { text: [{ exists: false }] } } }, true],
    [{ dynamodb: { Keys: { SK: { S: [{ exists: true }] } } } }, true],
    [{ eventName: [{ 'anything-but': ['REMOVE', 'MODIFY'] }] }, true],
    [{ eventName: [{ 'anything-but': 'INSERT' }] }, false],
    [{ eventName: [{ 'anything-but': { prefix: 'IN' } }] }, false],
    [{ eventName: [{ 'equals-ignore-case': 'insert' }] }, true],
    [{ missing: [null] }, false],
    [{ missing: { deeper: ['x'] } }, false],
  ])('%j: %s', (pattern, expected) => {
    expect(compilePattern(pattern)(message)).toBe(expected);
  });

  test.each([
    [[{ numeric: ['>', 0, '<=', 5] }], 5, true],
    [[{ numeric: ['>', 0, '<=', 5] }], 0, false],
    [[{ numeric: ['=', 3] }], '3', false],
    [[null], null, true],
    [[true], true, true],
    [['a'], ['b', 'a'], true],
  ])('a value: %j of %j: %s', (pattern, value, expected) => {
    expect(compilePattern({ field: pattern })({ field: value })).toBe(expected);
  });

  test('matches everything without filters, and otherwise if one of the filters matches', () => {
    expect(compileFilters([])(message)).toBe(true);
    expect(compileFilters(['{"eventName":["REMOVE"]}', '{"eventName":["INSERT"]}'])(message)).toBe(true);
    expect(compileFilters(['{"eventName":["REMOVE"]}'])(message)).toBe(false);
  });

  test('reports an unknown comparison with its path', () => {
    expect(() => compilePattern({ a: { b: [{ wildcard: '*' }] } })).toThrow('a.b.0: the local stack does not support');
    expect(() => compilePattern({ a: 'text' })).toThrow('a: an object or a list');
    expect(() => compilePattern({ a: [{ numeric: ['>'] }] })).toThrow('a.0.numeric: pairs');
  });
});

describe('the result of a function for a batch', () => {
  const of = (payload: unknown, reports = true, ok = true) =>
    failedItems({ ok, payload: JSON.stringify(payload) }, ['1', '2', '3'], reports);
  test('reports nothing, an item, or the whole batch', () => {
    expect(of(null)).toEqual(new Set());
    expect(of({})).toEqual(new Set());
    expect(of({ batchItemFailures: [] })).toEqual(new Set());
    expect(of({ batchItemFailures: [{ itemIdentifier: '2' }] })).toEqual(new Set(['2']));
    expect(of({ batchItemFailures: [{ itemIdentifier: '4' }] })).toBeUndefined();
    expect(of({ batchItemFailures: [{ itemIdentifier: '' }] })).toBeUndefined();
    expect(of({ batchItemFailures: [{ itemidentifier: '1' }] })).toBeUndefined();
    expect(of({ errorMessage: 'no' }, true, false)).toBeUndefined();
  });

  test('is ignored unless the mapping asks for it', () => {
    expect(of({ batchItemFailures: [{ itemIdentifier: '2' }] }, false)).toEqual(new Set());
  });
});

describe('after a batch of a stream', () => {
  const rules = { bisect: true, retryAttempts: 2 };
  const batch = (items: number[], retries = 0): Batch<number> => ({ items, retries });

  test('that succeeded, nothing is retried', () => {
    expect(afterBatch(batch([1, 2]), 'none', rules)).toEqual({ next: [], discarded: [] });
  });

  test('that failed as a whole, its halves are processed, which does not count as a retry', () => {
    expect(afterBatch(batch([1, 2, 3], 1), 'all', rules).next).toEqual([batch([1, 2], 1), batch([3], 1)]);
    expect(afterBatch(batch([1, 2, 3]), 'all', { ...rules, bisect: false }).next).toEqual([batch([1, 2, 3], 1)]);
  });

  test('with a reported item, everything from the first such item is retried', () => {
    expect(afterBatch(batch([1, 2, 3], 2), { from: 1 }, rules).next).toEqual([batch([2, 3], 1)]);
    expect(afterBatch(batch([1, 2, 3], 0), { from: 0 }, rules).next).toEqual([batch([1, 2, 3], 1)]);
  });

  test('without remaining retries, the batch goes to the dead-letter queue', () => {
    expect(afterBatch(batch([1], 2), 'all', rules)).toEqual({ next: [], discarded: [1] });
    expect(afterBatch(batch([1, 2], 2), { from: 0 }, rules)).toEqual({ next: [], discarded: [1, 2] });
  });

  test('only records that cannot be processed are lost, and the order is kept', () => {
    const setup = fc.record({
      size: fc.integer({ min: 1, max: 40 }),
      poison: fc.uniqueArray(fc.integer({ min: 0, max: 39 }), { maxLength: 5 }),
    });
    fc.assert(
      fc.property(setup, ({ size, poison }) => {
        const done: number[] = [];
        const lost: number[] = [];
        const queue = [batch(Array.from({ length: size }, (_, index) => index))];
        for (let current = queue.shift(); current; current = queue.shift()) {
          const failed = current.items.some((item) => poison.includes(item));
          if (!failed) done.push(...current.items);
          const { next, discarded } = afterBatch(current, failed ? 'all' : 'none', rules);
          queue.unshift(...next);
          lost.push(...discarded);
        }
        expect(lost).toEqual([...poison].filter((item) => item < size).sort((a, b) => a - b));
        expect(done).toEqual(
          Array.from({ length: size }, (_, index) => index).filter((item) => !poison.includes(item)),
        );
      }),
    );
  });
});
