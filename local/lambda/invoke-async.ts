import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../log.ts';
import type { LocalFunction } from './lambda.ts';

/** Invokes a function by ARN with an event, without waiting for the result. Fails only if it is aborted. */
export type InvokeAsync = (functionArn: string, event: string, signal: AbortSignal) => Promise<void>;

/**
 * How often an event is retried if the function fails, and the waits before, in milliseconds. Lambda waits a minute,
 * then two (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html), which is too long for
 * developers.
 */
const RETRY_WAITS_MS = [1_000, 2_000];

/** @param giveUp receives an event that all attempts failed for, for the dead-letter queue */
export function createAsyncInvoke(
  functions: ReadonlyMap<string, LocalFunction>,
  giveUp: (destination: string, body: string) => Promise<void>,
  log: Log,
): InvokeAsync {
  return async (functionArn, event, signal) => {
    const fn = functions.get(functionArn);
    if (!fn) {
      log('lambda', `${functionArn} is to be invoked, but is not in the templates.`);
      return;
    }
    for (const wait of [0, ...RETRY_WAITS_MS]) {
      if (wait > 0) await sleep(wait, undefined, { signal });
      if ((await fn.invoke(event)).ok) return;
    }
    const { name, deadLetters } = fn.config;
    log(
      'lambda',
      `${name} has failed ${RETRY_WAITS_MS.length + 1} times; it goes to ${deadLetters ?? 'nowhere'}: ${event}`,
    );
    if (deadLetters !== undefined) await giveUp(deadLetters, event);
  };
}
