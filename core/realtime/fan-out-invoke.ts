import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { Deadline } from '../platform/deadline.ts';
import { env } from '../platform/env.ts';
import { logError } from '../platform/log.ts';
import { pool, type Run } from '../platform/pool.ts';
import { statusOf } from '../platform/status-of.ts';
import type { Batch, Counts, FanOutRequest } from './deliver.ts';
import { invocationsAtOnce } from './pace.ts';
import { parseCounts } from './parse.ts';

/* Invokes the fan-out function for batches of a large room's connections, and waits for the results. */

/**
 * The maximum wait for a response, including retries, in milliseconds. Slightly longer than the function's time-out (30
 * s: lib/event-functions.ts), so that usually no invocation still runs when the next batch begins.
 */
const ANSWER_TIMEOUT_MS = 35_000;
/**
 * The time that the function needs in addition to its deadline, in milliseconds: a cold start, one write for remaining
 * connections, and the response.
 */
const ANSWER_MARGIN_MS = 4_000;

/** The result of a batch. `refused`: it was never started. `lost`: it may have started, and its progress is unknown. */
export type FanOutOutcome = Counts | 'refused' | 'lost';

let client: LambdaClient | undefined;
let run: Run | undefined;

/**
 * Delivers a batch in a separate fan-out invocation, with the remaining time and the maximum post rate as its input.
 * Never throws, and returns by the deadline. If too little time is left to start it, the batch is `lost`.
 *
 * The SDK retries twice after throttling, failures within Lambda, and closed idle sockets. A 4xx means that the
 * invocation never started. An invocation that failed or did not respond may have sent messages, so it is not retried.
 */
export function invokeFanOut(batch: Batch, postsPerSecond: number, deadline: Deadline): Promise<FanOutOutcome> {
  run ??= pool(invocationsAtOnce());
  return run(async () => {
    client ??= new LambdaClient({ maxAttempts: 3, requestHandler: { connectionTimeout: 1_000 } });
    const failed = (outcome: 'refused' | 'lost', error: unknown): FanOutOutcome => {
      const { room_id, recipients } = batch;
      logError({ action: 'invoke_fan_out', room_id, connections: recipients.length, outcome }, error);
      return outcome;
    };
    const time_left_ms = Math.floor(deadline.leftMs() - ANSWER_MARGIN_MS);
    if (time_left_ms <= 0) return failed('lost', new Error('No time is left.'));
    const request: FanOutRequest = { ...batch, time_left_ms, posts_per_second: postsPerSecond };
    try {
      const { FunctionError, Payload } = await client.send(
        // A batch has at most 100 events of less than 50 KB each, which is below Lambda's limit of 6 MB.
        new InvokeCommand({ FunctionName: env('FAN_OUT_FUNCTION_ARN'), Payload: JSON.stringify(request) }),
        { abortSignal: AbortSignal.any([deadline.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]) },
      );
      // The invocation has logged its error itself.
      if (FunctionError !== undefined || !Payload) return failed('lost', new Error(FunctionError ?? 'No answer.'));
      return parseCounts(Payload.transformToString());
    } catch (error) {
      const status = statusOf(error);
      return failed(status !== undefined && status < 500 ? 'refused' : 'lost', error);
    }
  });
}
