import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { roomOf, type Scale } from '../../bench/common/fill.ts';
import { layoutOf, meter, type Units } from '../../bench/common/units.ts';
import { calls, frames, quietly, send, sendFrame } from '../../bench/common/world.ts';
import { allRoutes } from '../../core/contract/index.ts';
import { actions } from '../../core/contract/realtime.ts';
import { tableName } from '../../core/store/client.ts';
import { capacities } from '../fixtures/samples.ts';

const SMALL: Scale = { participants: 2, rooms: 2, messages: 2 };
const LARGE: Scale = { participants: 200, rooms: 200, messages: 300 };

let count: (work: () => Promise<unknown>) => Promise<Units>;
beforeAll(() => {
  count = meter(new DynamoDBClient(), layoutOf(tableName(), inject('table')));
});

async function unitsIn(scale: Scale): Promise<Record<string, Units>> {
  const room = await quietly(() => roomOf(scale));
  const units: Record<string, Units> = {};
  for (const { label, operation, request } of calls(room))
    units[label] = await quietly(() => count(() => send(operation, request)));
  for (const frame of frames(room)) units[frame.label] = await quietly(() => count(() => sendFrame(frame)));
  return units;
}

const budget = Object.fromEntries(Object.entries(capacities()).map(([call, [rcu, wcu]]) => [call, { rcu, wcu }]));

describe('capacity units', () => {
  test('have a budget for each endpoint and action', () => {
    const budgeted = Object.keys(budget).map((call) => call.split(',')[0]);
    const all = [...allRoutes.map(({ operation }) => operation), ...Object.keys(actions)];
    expect([...new Set(budgeted)].sort()).toEqual(all.sort());
  });

  test('equal the budget for each call in a large room', async () => {
    expect(await unitsIn(LARGE)).toEqual(budget);
  });

  test('are the same in a small room, or fewer if its page is smaller', async () => {
    const small = await unitsIn(SMALL);
    const paged = Object.keys(budget).filter((call) => call.includes('page'));
    for (const [call, { rcu, wcu }] of Object.entries(budget)) {
      if (!paged.includes(call)) expect({ call, ...small[call] }).toEqual({ call, rcu, wcu });
      else expect(small[call]?.rcu, call).toBeLessThan(rcu);
    }
    expect(paged).toHaveLength(5);
  });
});
