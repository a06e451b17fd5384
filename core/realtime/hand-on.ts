import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { statusOf } from '../aws/status-of.ts';
import { env } from '../env.ts';
import type { Counts, Slice } from './deliver.ts';
import { pool } from './pool.ts';
import { INVOCATIONS_AT_ONCE } from './slices.ts';

/*
 * Hands slices of a large room's connections to invocations of their own, and waits for them.
 */

/**
 * For how long an answer is waited for, in milliseconds, with the tries before: a little longer than the function may take (30 s:
 * lib/constructs/fan-out.ts), so that as a rule none still runs when the next batch begins.
 */
const ANSWER_TIMEOUT_MS = 35_000;

/** What became of a slice. `refused`: nobody has begun it. `lost`: somebody may have, and nobody knows how far they got. */
export type Outcome = Counts | 'refused' | 'lost';

let client: LambdaClient | undefined;
const run = pool(INVOCATIONS_AT_ONCE);

/**
 * Has an invocation of its own work on a slice. Never throws.
 *
 * The SDK tries again, twice, what was throttled, what failed within Lambda, and what was hung up on, as happens to connections
 * that were idle. What is throttled for longer was never begun, as all that is answered with a 4xx. A function that fails has
 * begun, and is not invoked again, and neither is one that does not answer: it may still run.
 */
export const handOn = (slice: Slice): Promise<Outcome> =>
  run(async () => {
    client ??= new LambdaClient({ maxAttempts: 3, requestHandler: { connectionTimeout: 1_000 } });
    const failed = (outcome: 'refused' | 'lost', error: unknown): Outcome => {
      const { room_id, recipients } = slice;
      console.error({ action: 'hand_on', room_id, connections: recipients.length, outcome, error });
      return outcome;
    };
    try {
      const { FunctionError, Payload } = await client.send(
        // A batch has a hundred events at most, each of less than 50 KB: far below the 6 MB that Lambda takes.
        new InvokeCommand({ FunctionName: env('FAN_OUT_FUNCTION_ARN'), Payload: JSON.stringify(slice) }),
        { abortSignal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) },
      );
      // What it failed with is in its own log.
      if (FunctionError !== undefined || !Payload) return failed('lost', FunctionError ?? 'no answer');
      return JSON.parse(Payload.transformToString());
    } catch (error) {
      const status = statusOf(error);
      return failed(
        status !== undefined && status < 500 ? 'refused' : 'lost',
        error instanceof Error ? `${error.name}: ${error.message}` : error,
      );
    }
  });
