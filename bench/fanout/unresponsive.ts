/*
 * How the gateway of the benchmarks knows the connections that do not respond, and what it has in place of the network to SQS.
 */

const PREFIX = 'dead';

export const unresponsiveId = (suffix: string): string => `${PREFIX}${suffix}`;
export const isUnresponsive = (connection_id: string): boolean => connection_id.startsWith(PREFIX);

/** The response time of the queue, in milliseconds. */
export const SQS_LATENCY_MS = 10;
