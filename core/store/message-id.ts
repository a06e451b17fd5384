import { decodeTime, encodeTime, monotonicFactory } from 'ulid';
import type { Timestamp } from '../rules/time.ts';

/*
 * The IDs of messages are ULIDs: they sort by the time at which the service received the message.
 */

const TIME_LENGTH = 10;
const RANDOM_LENGTH = 16;

/** Within a process, ids that are made in the same millisecond still sort in the order in which they were made. */
const ulid = monotonicFactory();

/** Returns the ID of a message that is received now. */
export const newMessageId = (now: Timestamp): string => ulid(Date.parse(now));

/** Returns the time in a message ID, in milliseconds since the epoch. The ID need not be one of a message. */
export const millisecondsOf = (message_id: string): number => decodeTime(message_id);

/** Returns when a message was sent. */
export const timeOf = (message_id: string): Timestamp => new Date(decodeTime(message_id)).toISOString();

/** Returns the first ID that a message of this time can have. */
export const firstIdAt = (time: Timestamp): string =>
  encodeTime(Date.parse(time), TIME_LENGTH) + '0'.repeat(RANDOM_LENGTH);
