import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../log.ts';
import type { LocalFunction } from './lambda.ts';

/** Invokes a function by ARN with an event, without waiting for the result. Fails only if it is aborted. */
export type InvokeAsync = (functionArn: string, event: string, signal: AbortSignal) => Promise<void>;

/**
 * The waits before each retry of an event, in milliseconds. Lambda waits 1 and 2 minutes, which is too long for developers.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
 */
const RETRY_WAITS_MS = [1_000, 2_000];

/**
 * Returns a function that invokes functions asynchronously, with retries.
 *
 * @param sendToQueue sends an event to the dead-letter queue after all attempts have failed
 */
export function createAsyncInvoke(
  functions: ReadonlyMap<string, LocalFunction>,
  sendToQueue: (destination: string, body: string) => Promise<void>,
  log: Log,
): InvokeAsync {
  return async (functionArn, event, signal) => {
    const fn = functions.get(functionArn);
    if (!fn) {
      log('lambda', `The invoked function ${functionArn} is not in the templates.`);
      return;
    }
    for (const wait of [0, ...RETRY_WAITS_MS]) {
      if (wait > 0) await sleep(wait, undefined, { signal });
      if ((await fn.invoke(event)).ok) return;
    }
    const { name, deadLetters } = fn.config;
    log(
      'lambda',
      `${name} has failed ${RETRY_WAITS_MS.length + 1} times; the event goes to ${deadLetters ?? 'no dead-letter queue'}: ${event}`,
    );
    if (deadLetters !== undefined) await sendToQueue(deadLetters, event);
  };
}
