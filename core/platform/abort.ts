import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/*
 * The end of an invocation, for everything that it has started. Lambda freezes the process after the response, and the
 * next invocation resumes pending requests. A write that was answered with 503 would then overwrite a newer one.
 */

/** The signal belongs to an invocation and not to the process: in the local stack and in tests, several run at the same time. */
const invocation = new AsyncLocalStorage<AbortSignal>();

/**
 * Runs `work`. When the signal aborts, all its requests of {@link abortable} clients and all its {@link pause}s end.
 */
export const abortOn = <T>(signal: AbortSignal, work: () => T): T => invocation.run(signal, work);

/** Returns the signal that aborts when the invocation is over. Undefined outside an invocation that has one. */
export const invocationSignal = (): AbortSignal | undefined => invocation.getStore();

/**
 * Waits before the next attempt.
 *
 * @param milliseconds how long to wait
 * @throws AbortError when the invocation is over, or was already over before
 */
export const pause = (milliseconds: number): Promise<void> =>
  sleep(milliseconds, undefined, { signal: invocation.getStore() });

interface Handler {
  handle(request: never, options?: { abortSignal?: AbortSignal }): Promise<unknown>;
}

/**
 * Makes an SDK client end its requests when the invocation that sends them is over. The check runs just before each
 * request leaves the process, so it covers the SDK's own retries.
 *
 * @returns the client
 */
export function abortable<C extends { readonly config: { readonly requestHandler: Handler } }>(client: C): C {
  const handler: Handler = client.config.requestHandler;
  const handle = handler.handle.bind(handler);
  handler.handle = (request, options = {}) => {
    const signals = [options.abortSignal, invocation.getStore()].filter((signal) => signal !== undefined);
    return handle(request, signals.length > 0 ? { ...options, abortSignal: AbortSignal.any(signals) } : options);
  };
  return client;
}
