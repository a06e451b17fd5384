import { decodeTime, encodeTime, monotonicFactory } from 'ulid';
import type { Timestamp } from '../rules/time.ts';

/*
 * The IDs of messages are ULIDs: they sort by the time at which the service received the message.
 */

const TIME_LENGTH = 10;
const RANDOM_LENGTH = 16;

/** Within a process, IDs of the same millisecond still sort in the order of their creation. */
const ulid = monotonicFactory();

/** Returns the ID for a message that is received now. */
export const newMessageId = (now: Timestamp): string => ulid(Date.parse(now));

/** Returns the time in a message ID, in milliseconds since the epoch. The message need not exist. */
export const millisecondsOf = (message_id: string): number => decodeTime(message_id);

/** Returns when a message was sent. */
export const timeOf = (message_id: string): Timestamp => new Date(decodeTime(message_id)).toISOString();

/** Returns the lowest possible ID of a message with this time. */
export const firstIdAt = (time: Timestamp): string =>
  encodeTime(Date.parse(time), TIME_LENGTH) + '0'.repeat(RANDOM_LENGTH);
