import { createHmac, timingSafeEqual } from 'node:crypto';
import { invalid } from '../contract/errors.ts';
import { env } from '../platform/env.ts';

/*
 * A cursor is base64url(tag ‖ position). The position is the last part of a sort key, never a partition, and the tag
 * binds it to its list. So even a forged cursor could only move within a list that its caller may read.
 */

/** The number of bytes of the HMAC-SHA-256 that a cursor contains. */
const TAG_BYTES = 16;

const tag = (list: string, position: string): Buffer =>
  createHmac('sha256', env('CURSOR_KEY')).update(`${list}\n${position}`).digest().subarray(0, TAG_BYTES);

/** Returns the cursor after `position` in a list. `list` identifies the list, including its room or user. */
export const encodeCursor = (list: string, position: string): string =>
  Buffer.concat([tag(list, position), Buffer.from(position)]).toString('base64url');

/**
 * Returns the position of a cursor of this list.
 *
 * @throws `invalid_request` for any other text
 */
export function decodeCursor(list: string, cursor: string): string {
  const bytes = Buffer.from(cursor, 'base64url');
  const position = bytes.subarray(TAG_BYTES).toString();
  const genuine =
    bytes.length > TAG_BYTES &&
    bytes.toString('base64url') === cursor &&
    timingSafeEqual(bytes.subarray(0, TAG_BYTES), tag(list, position));
  if (!genuine)
    throw invalid({ path: 'cursor', message: 'is not a cursor of this list; leave it out to start at the first page' });
  return position;
}
