import type { Counts, Slice } from '../../core/realtime/deliver.ts';
import { handler as fanOut } from '../../functions/events/fan-out.ts';
import { behind } from './behind.ts';
import { type Fate, startLambdaApi } from './lambda-api.ts';

/*
 * The function that slices of large rooms are handed to, behind Lambda's API.
 */

const ARN = 'arn:aws:lambda:us-east-1:000000000000:function:fan-out';

export interface FanOut {
  /** The slices that somebody tried to hand on, once for each try. */
  slices(): Slice[];
  /** What becomes of the next invocations: see `LambdaApi`. */
  fate(...fates: readonly [Fate, ...Fate[]]): void;
  /** What the function does with a slice. Default: what it is for. */
  work: (slice: Slice) => Promise<Counts>;
  reset(): void;
  close(): Promise<void>;
}

/** Starts it, and points this process there. */
export async function startFanOut(): Promise<FanOut> {
  const work = async (slice: Slice) => (await behind('fan-out', () => fanOut(slice))).result;
  const api = await startLambdaApi({ [ARN]: { handler: (slice: Slice) => started.work(slice) } });
  const started: FanOut = {
    slices: () => api.tried.map(({ event }) => event as Slice),
    fate: api.fate,
    work,
    reset() {
      api.tried.length = 0;
      api.fate('run');
      started.work = work;
    },
    close: api.close,
  };
  Object.assign(process.env, { AWS_ENDPOINT_URL_LAMBDA: api.url, FAN_OUT_FUNCTION_ARN: ARN });
  return started;
}
