import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { Deadline } from '../platform/deadline.ts';
import { env } from '../platform/env.ts';
import { logError } from '../platform/log.ts';
import { pool, type Run } from '../platform/pool.ts';
import { statusOf } from '../platform/status-of.ts';
import type { Batch, Counts, FanOutRequest } from './deliver.ts';
import { invocationsAtOnce } from './pace.ts';

/*
 * Invokes the fan-out function with batches of a large room's connections, and waits for the answers.
 */

/**
 * The longest wait for a response, in milliseconds, including retries. It is a little longer than the time-out of the
 * function (30 s: lib/event-functions.ts), so that usually none still runs when the next batch begins.
 */
const ANSWER_TIMEOUT_MS = 35_000;
/** What the function needs beside its own deadline, in milliseconds: a cold start, one write for what it leaves, and the answer. */
const ANSWER_MARGIN_MS = 4_000;

/**
 * The result of a batch. `refused`: it was never started. `lost`: it may have been started, and its progress is
 * unknown.
 */
export type FanOutOutcome = Counts | 'refused' | 'lost';

let client: LambdaClient | undefined;
let run: Run | undefined;

/**
 * Delivers a batch in a fan-out invocation of its own, which is told how much time is left, and how fast it may post. Never throws, and returns by the
 * deadline. Where too little time is left to start one, the batch is `lost`, for there is no time to deliver it here either.
 *
 * The SDK retries, twice, what was throttled, what failed within Lambda, and sockets that were closed, as happens to idle ones.
 * A 4xx means that the invocation never started. A function that fails has started, and is not invoked again, and neither is one
 * that does not answer: it may still run.
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
        // A batch has a hundred events at most, each of less than 50 KB: far below the 6 MB that Lambda takes.
        new InvokeCommand({ FunctionName: env('FAN_OUT_FUNCTION_ARN'), Payload: JSON.stringify(request) }),
        { abortSignal: AbortSignal.any([deadline.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]) },
      );
      // Its own log has the error.
      if (FunctionError !== undefined || !Payload) return failed('lost', new Error(FunctionError ?? 'No answer.'));
      return JSON.parse(Payload.transformToString());
    } catch (error) {
      const status = statusOf(error);
      return failed(status !== undefined && status < 500 ? 'refused' : 'lost', error);
    }
  });
}
