import { describe, expect, test } from 'vitest';
import { ASSUMPTIONS, kubernetesFloor, priceOf, total } from '../../bench/common/price-model.ts';
import { KUBERNETES, PRICES } from '../../bench/prices.ts';
import { unitsOf } from '../fixtures/samples.ts';

describe('the price', () => {
  test('of a message covers a frame, its reply, and one frame for each receiver', () => {
    const { message } = priceOf({ ...ASSUMPTIONS, participants: 10 });
    expect(message['API Gateway']).toBeCloseTo(12e-6, 12);
    // Sending the message, and the fan-out's read: ten connections of 0.4 KB are one read unit.
    const { rcu, wcu } = unitsOf('message');
    // Numbering the batch takes one write.
    expect(message.DynamoDB).toBeCloseTo((rcu + 1) * 0.125e-6 + (wcu + 1) * 0.625e-6, 12);
    expect(message.Lambda).toBeGreaterThan(2 * PRICES.lambdaRequest.dollars);
  });

  test('of a message to a large room covers all fan-out invocations and the invoker', () => {
    const lambda = (participants: number) => priceOf({ ...ASSUMPTIONS, participants }).message.Lambda;
    expect(lambda(999) / lambda(499)).toBeLessThan(2);
    expect(lambda(10_000) / lambda(500)).toBeGreaterThan(20);
    expect(lambda(10_000) / lambda(500)).toBeLessThan(40);
  });

  test('of a room-hour grows with participants, messages and pings', () => {
    const price = (more: Partial<typeof ASSUMPTIONS>) => total(priceOf({ ...ASSUMPTIONS, ...more }).roomHour);
    const usual = price({});
    expect(price({ participants: 20 })).toBeGreaterThan(1.9 * usual);
    expect(price({ messages: 120 })).toBeGreaterThan(usual);
    expect(price({ pingSeconds: 30 })).toBeGreaterThan(usual);
    expect(price({ hours: 8 })).toBeLessThan(usual);
  });

  test('of messages in a busy room is less than that of one post each, because they are packed', () => {
    const million = (messages: number) =>
      1e6 * total(priceOf({ ...ASSUMPTIONS, participants: 1_000, messages }).message);
    expect(million(60)).toBeGreaterThan(1_000);
    expect(million(36_000)).toBeLessThan(300);
  });

  test('of an idle system is only storage; the price of a cluster is the sum of its parts', () => {
    expect(total(priceOf({ ...ASSUMPTIONS, messages: 0, participants: 0, hours: Infinity }).roomHour)).toBe(0);
    expect(kubernetesFloor()).toBeCloseTo(
      KUBERNETES.reduce((sum, { count, dollars }) => sum + count * dollars, 0),
      6,
    );
    expect(kubernetesFloor()).toBeGreaterThan(300);
  });

  test('has a source for every number', () => {
    for (const { dollars, source } of [...Object.values(PRICES), ...KUBERNETES]) {
      expect(dollars).toBeGreaterThan(0);
      expect(source).toMatch(/^https:\/\/aws\.amazon\.com\//);
    }
  });
});
