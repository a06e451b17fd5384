/* The IDs of connections that do not respond, and the simulated latency of SQS. */

const PREFIX = 'dead';

export const unresponsiveId = (suffix: string): string => `${PREFIX}${suffix}`;
export const isUnresponsive = (connection_id: string): boolean => connection_id.startsWith(PREFIX);

/** The response time of the queue, in milliseconds. */
export const SQS_LATENCY_MS = 10;
