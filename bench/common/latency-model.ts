import { roomSeconds } from './scale-model.ts';

/*
 * A model of a message's latency on AWS, from published measurements if available, and otherwise from the figures of
 * bench:scale. We have measured none of it on AWS.
 */

/**
 * The steps of a message, in order. `request` is from the client to the function, and `write` is the function
 * `message`.
 */
export const PARTS = ['request', 'write', 'stream', 'fan-out', 'post'] as const;
type Part = (typeof PARTS)[number];
export type Split = Readonly<Record<Part, number>>;

/**
 * From a change in the table to the start of the function that reads its stream, in milliseconds.
 *
 * @see https://bitesizedserverless.com/bite/serverless-messaging-latency-compared/ 1,024 messages, eu-west-1, September
 * 2022
 */
const STREAM_MS = { p50: 213, p99: 552 };

/** API Gateway and the start of a warm invocation, in milliseconds. An assumption. */
const REQUEST_MS = 15;
/** Two sequential requests to DynamoDB, the second one a transaction, in milliseconds. An assumption. */
const WRITE_MS = 15;
/** The part of `roomSeconds` before the first post, in milliseconds. */
const FAN_OUT_MS = 20;

/** Returns the duration of each step on AWS until the last of `receivers` has the message, in milliseconds. */
export function modelled(receivers: number, quantile: keyof typeof STREAM_MS): Split {
  const all = 1_000 * roomSeconds(receivers, 1);
  return {
    request: REQUEST_MS,
    write: WRITE_MS,
    stream: STREAM_MS[quantile],
    'fan-out': FAN_OUT_MS,
    post: all - FAN_OUT_MS,
  };
}
