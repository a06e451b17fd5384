import { expect, test } from 'vitest';
import { faultNames, planOf } from '../chaos/plan.ts';

test('the same seed gives the same plan, and another seed another plan', () => {
  expect(planOf(7, 3)).toEqual(planOf(7, 3));
  expect(planOf(8, 3)).not.toEqual(planOf(7, 3));
  expect(planOf(7, 4)).not.toEqual(planOf(7, 3));
});

test('a quiet round has the same operations and no faults', () => {
  const [faulty, quiet] = [planOf(7, 3), planOf(7, 3, { faults: false })];
  expect(quiet.rooms).toEqual(faulty.rooms);
  expect(quiet.faults).toEqual([]);
  expect(quiet.skew).toBe(0);
});

test('twenty rounds contain every fault', () => {
  const plans = Array.from({ length: 20 }, (_, round) => planOf(1, round));
  const inWindows = plans.flatMap(({ faults }) => faults.map(({ fault }) => fault));
  const inSteps = plans.flatMap(({ rooms }) => rooms.flatMap(({ steps }) => steps.map(({ action }) => action.do)));
  const planned = new Set<string>([...inWindows, ...inSteps]);
  expect(faultNames.filter((name) => !planned.has(name))).toEqual([]);
});

test('every client of a room joins it, and sends requests', () => {
  for (const { clients, steps, users } of planOf(1, 2).rooms) {
    expect(clients.map(({ user }) => user).every((user) => users.includes(user))).toBe(true);
    const joining = new Set(steps.flatMap(({ action, client }) => (action.do === 'join' ? [client] : [])));
    expect(joining.size).toBe(clients.length);
    expect(Math.max(...steps.map(({ client }) => client))).toBeLessThan(clients.length);
  }
});
