import type { Counts, FanOutRequest } from '../../core/realtime/deliver.ts';
import { handler as fanOut } from '../../functions/events/fan-out.ts';
import { type InvocationResponse, startLambdaApi } from './lambda-api.ts';
import { runEventFunction } from './run-event-function.ts';

/* The fan-out function behind a local Lambda API. */

const ARN = 'arn:aws:lambda:us-east-1:000000000000:function:fan-out';

export interface FanOut {
  /** The batch of each attempted invocation, in order. */
  batches(): FanOutRequest[];
  /** Sets the responses to the next invocations: see `LambdaApi`. */
  respondWith(...responses: readonly [InvocationResponse, ...InvocationResponse[]]): void;
  /** How the function processes a batch. Default: as in production. */
  work: (batch: FanOutRequest) => Promise<Counts>;
  reset(): void;
  close(): Promise<void>;
}

/** Starts the API, and sets this process's endpoint of Lambda to it. */
export async function startFanOut(): Promise<FanOut> {
  const work = async (batch: FanOutRequest) =>
    (await runEventFunction('fan-out', (context) => fanOut(batch, context))).result;
  const api = await startLambdaApi({ [ARN]: { handler: (batch: FanOutRequest) => started.work(batch) } });
  const started: FanOut = {
    batches: () => api.tried.map(({ event }) => event as FanOutRequest),
    respondWith: api.respondWith,
    work,
    reset() {
      api.tried.length = 0;
      api.respondWith('run');
      started.work = work;
    },
    close: api.close,
  };
  Object.assign(process.env, { AWS_ENDPOINT_URL_LAMBDA: api.url, FAN_OUT_FUNCTION_ARN: ARN });
  return started;
}
