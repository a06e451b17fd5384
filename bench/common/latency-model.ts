import { roomSeconds } from './scale-model.ts';

/*
 * What the way of a message takes on AWS: published measurements where there are any, and otherwise the figures of bench:scale. Nothing
 * of it has been measured on AWS by us.
 */

/** The parts of a message's way, in this order. `request`: from the client to the function. `write`: the function `message`. */
export const PARTS = ['request', 'write', 'stream', 'fan-out', 'post'] as const;
export type Part = (typeof PARTS)[number];
export type Split = Readonly<Record<Part, number>>;

/**
 * From a change of the table until a function that reads its stream begins, in milliseconds.
 *
 * @see https://bitesizedserverless.com/bite/serverless-messaging-latency-compared/ 1,024 messages, eu-west-1, September 2022
 */
export const STREAM_MS = { p50: 213, p99: 552 };

/** API Gateway and the start of a warm invocation, in milliseconds: a supposition. */
const REQUEST_MS = 15;
/** Two requests to DynamoDB, one after the other, of which the second is a transaction, in milliseconds: a supposition. */
const WRITE_MS = 15;
/** Of `roomSeconds`: until the first post. */
const FAN_OUT_MS = 20;

/** Returns what each part takes on AWS until the last of so many receivers has the message, in milliseconds. */
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
