import { RoomsError } from '../contract/errors.ts';
import type { RequestContext } from '../contract/route.ts';
import { USER_LIMITS, type UserLimit, userLimitNames } from '../contract/user-limits.ts';
import { env } from '../platform/env.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { type Key, limitKey } from './keys.ts';
import { type TransactionOutcome, transact, transactUnlessContended, update, type Write } from './write.ts';

/*
 * Limits per user (core/contract/user-limits.ts). Each window has an item with the count. Above a limit, the error is
 * `too_many_requests`, with the seconds until the window ends. See docs/decisions/0020-limits-per-user.md.
 */

/** The uses of limits by a request. */
export interface Usage extends RequestContext {
  /** The number of uses per limit. Those of 0 are not counted. */
  readonly uses: { readonly [Limit in UserLimit]?: number };
}

interface Counter {
  readonly limit: UserLimit;
  readonly max: number;
  /** The end of the window, in epoch seconds. */
  readonly ends: number;
  readonly key: Key;
  readonly expressions: {
    readonly UpdateExpression: string;
    readonly ConditionExpression: string;
    readonly ExpressionAttributeValues: Record<string, number>;
  };
}

/** The environment's `userLimits`, for the limits that the function counts. */
function maxOf(limit: UserLimit): number {
  const limits: Partial<Record<UserLimit, unknown>> = JSON.parse(env('USER_LIMITS'));
  const max = limits[limit];
  if (typeof max !== 'number') throw new Error(`USER_LIMITS has no number for ${limit}.`);
  return max;
}

function counterOf(limit: UserLimit, amount: number, { caller, now }: Usage): Counter {
  const { seconds } = USER_LIMITS[limit];
  const max = maxOf(limit);
  const window = Math.floor(epochSeconds(now) / seconds);
  const ends = (window + 1) * seconds;
  return {
    limit,
    max,
    ends,
    key: limitKey(caller, limit, window),
    expressions: {
      UpdateExpression: 'SET expires_at = :ends ADD used :amount',
      ConditionExpression: 'attribute_not_exists(PK) OR used <= :free',
      ExpressionAttributeValues: { ':ends': ends, ':amount': amount, ':free': max - amount },
    },
  };
}

const countersOf = (usage: Usage): Counter[] =>
  userLimitNames.flatMap((limit) => {
    const amount = usage.uses[limit] ?? 0;
    return amount > 0 ? [counterOf(limit, amount, usage)] : [];
  });

function exceeded({ limit, max, ends }: Counter, now: Timestamp): RoomsError {
  const retryAfter = Math.max(1, Math.ceil(ends - Date.parse(now) / 1_000));
  const message = `You can ${USER_LIMITS[limit].allowance(max)}. Try again in ${retryAfter} seconds.`;
  return new RoomsError('too_many_requests', [{ message }], { retryAfter });
}

/**
 * Counts the uses. Parallel calls of one user do not conflict.
 *
 * @throws `too_many_requests`. In that case, the call may already be counted for other limits of the user
 */
export async function countUsage(usage: Usage): Promise<void> {
  await Promise.all(
    countersOf(usage).map(async (counter) => {
      const outcome = await update(counter.key, counter.expressions);
      if (!outcome.done) throw exceeded(counter, usage.now);
    }),
  );
}

/**
 * Writes and counts the uses in one transaction. A rejection of the writes has priority over a reached limit.
 *
 * Parallel requests of one user conflict on the counter, and retries alone would make some of them fail. If another
 * request holds the counter, the uses are first counted with a separate update, which DynamoDB serializes, and then the
 * writes follow. Only in that case, a request counts although its writes are rejected.
 *
 * @returns the results of `writes`
 * @throws `too_many_requests`
 */
export async function transactCounted(writes: readonly Write[], usage: Usage): Promise<TransactionOutcome> {
  const counters = countersOf(usage);
  const outcome = await transactUnlessContended(
    [...writes, ...counters.map(({ key, expressions }) => ({ Update: { Key: key, ...expressions } }))],
    writes.length,
  );
  if (!outcome) {
    await countUsage(usage);
    return transact(writes);
  }
  if (outcome.done) return outcome;
  const refusals = outcome.refusals.slice(0, writes.length);
  if (refusals.some(({ refused }) => refused)) return { done: false, refusals };
  const over = counters.find((_, n) => outcome.refusals[writes.length + n]?.refused);
  if (!over) throw new Error('A transaction was refused although each of its conditions held.');
  throw exceeded(over, usage.now);
}
