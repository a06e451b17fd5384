import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  aloneSeconds,
  deliveryDelay,
  digestPosts,
  joinPosts,
  loadsOf,
  POSTS_A_SECOND,
  partitionHeat,
  roomPosts,
  roomSeconds,
  STREAM_SECONDS,
  shardDelay,
  shares,
  WORKLOADS,
} from '../../bench/common/scale-model.ts';
import { PROGRAM, scaleText } from '../../bench/common/scale-text.ts';
import { sectionOf } from '../../bench/common/section.ts';
import type { SubProtocol } from '../../core/contract/sub-protocols.ts';
import { unitsOf } from '../fixtures/samples.ts';

const [many, , chatty, crowd] = WORKLOADS;
if (!many || !chatty || !crowd) throw new Error('There are no workloads.');

test('docs/operate/scale.md has the current figures: npm run bench:scale -- --write', () => {
  const document = readFileSync(new URL('../../docs/operate/scale.md', import.meta.url), 'utf8');
  expect(sectionOf(document, PROGRAM)).toBe(scaleText().trim());
});

describe('the loads', () => {
  test('of a room are the units of a message, times the number of messages', () => {
    const load = loadsOf(chatty).find(({ limit }) => limit === 'partitionWrites');
    const { wcu } = unitsOf('message');
    // Of 10 units, 4 are in the partition of the chat, and 1 counts the sender's frames. The other 5 and the numbers of
    // batches are in the partition of the room.
    expect(wcu).toBe(10);
    expect(load?.load).toBeGreaterThan((100_000 / 3_600) * 5);
    expect(load?.load).toBeLessThan((100_000 / 3_600) * 6.1);
    expect(load?.share).toBeCloseTo((load?.load ?? 0) / 1_000, 9);
  });

  test('are sorted, the heaviest first', () => {
    for (const workload of WORKLOADS) {
      const shares = loadsOf(workload).map(({ share }) => share);
      expect(shares).toEqual(shares.toSorted((a, b) => b - a));
    }
  });

  test('of many rooms are distributed: the load of the busiest partition is above average, but below the limit', () => {
    const { mean, hottest, partitions } = partitionHeat(many);
    expect(partitions * mean).toBeCloseTo(((1_000_000 * 60) / 3_600) * 4, 0);
    expect(hottest).toBeGreaterThan(mean);
    expect(hottest).toBeLessThan(1_000);
  });
});

describe('the delay of a message', () => {
  test('grows with the room and its messages, until delivery is impossible', () => {
    const median = (participants: number, messages: number, protocol: SubProtocol = 'rooms.v1') =>
      deliveryDelay(protocol, participants, messages)?.median ?? Infinity;
    expect(median(1_000, 60)).toBeGreaterThan(median(10, 60));
    expect(median(100, 100_000)).toBeGreaterThan(median(100, 1_000));
    // rooms.v1 would need more posts than the room's budget.
    expect(median(1_000, 100_000)).toBe(Infinity);
    // rooms.v2 packs several messages into one post.
    expect(median(1_000, 100_000, 'rooms.v2')).toBeLessThan(2);
    expect(roomPosts('rooms.v1', 1_000, 36_000)).toBeUndefined();
    expect(roomPosts('rooms.v2', 1_000, 36_000)).toBeLessThan(2_500);
  });

  test('is at least that of the stream', () => {
    expect(deliveryDelay('rooms.v2', 2, 60)?.median).toBeGreaterThan(STREAM_SECONDS.median);
    expect(deliveryDelay('rooms.v2', 2, 60)?.p99).toBeGreaterThan(STREAM_SECONDS.p99);
  });

  test('is at least that of the posts', () => {
    expect(deliveryDelay('rooms.v1', 999, 60)?.median).toBeGreaterThan(999 / POSTS_A_SECOND);
  });

  test('decreases with more partitions if many rooms share shards', () => {
    const at = (partitions: number) => shardDelay(many, partitions);
    // A sixth of one million posts per second, spread over 100 partitions.
    expect(at(100).posts).toBeCloseTo(1_000_000 / 6 / 100, 6);
    expect(at(40).delay).toBeUndefined();
    expect(at(150).delay?.p99).toBeGreaterThan(at(300).delay?.p99 ?? Infinity);
    expect(at(300).delay?.median).toBeGreaterThan(0.02);
  });
});

describe('a large room', () => {
  test('is split among invocations, with every connection in a batch and less than two batches for the first invocation', () => {
    for (const participants of [0, 1, 49, 50, 499, 999, 1_000, 1_499, 10_000])
      for (const frames of [1, 3, 20, 100]) {
        const { batch, invoked, own } = shares(participants, frames);
        expect(own + invoked * batch).toBe(participants);
        expect(own).toBeLessThan(2 * batch);
      }
    expect(shares(999, 1).invoked).toBe(0);
    expect(shares(10_000, 1)).toEqual({ batch: 500, invoked: 19, own: 500 });
  });

  afterEach(() => vi.unstubAllEnvs());

  test('receives a message no sooner than a quarter of the quota allows, for any number of invocations', () => {
    expect(roomSeconds(10_000, 1)).toBe(aloneSeconds(10_000, 1));
    expect(roomSeconds(10_000, 1)).toBeGreaterThan(4);
    expect(roomSeconds(10_000, 1)).toBeLessThan(4.5);
    expect(roomSeconds(100, 1)).toBe(aloneSeconds(100, 1));
  });

  test('receives a message sooner than one invocation could post it, if the quota is higher', () => {
    vi.stubEnv('API_GATEWAY_QUOTA', '40000');
    expect(roomSeconds(10_000, 1)).toBeLessThan(aloneSeconds(10_000, 1) / 2);
  });
});

test('a join is announced to everyone who has joined before', () => {
  expect(joinPosts(4)).toBe(0 + 1 + 2 + 3);
});

test('10,000 joins in a minute cause fewer than 100,000 posts of presence', () => {
  expect(digestPosts(10_000, 60)).toBeLessThan(100_000);
  // With at most 100 users online, each change is sent individually.
  expect(digestPosts(100, 60)).toBeLessThanOrEqual(joinPosts(101));
});
