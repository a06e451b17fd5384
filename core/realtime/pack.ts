import { createHash } from 'node:crypto';
import { MAX_FRAME_BYTES, MAX_PACKED_BYTES } from '../contract/limits.ts';
import type { DetachedFrame, EventsFrame, Feed, PackedEvent, RoomEvent } from '../contract/realtime.ts';

/*
 * The frames of rooms.v2. See docs/decisions/0030-rooms-v2.md. Pure.
 */

/** The numbers of the events of a batch: the first one's, and what they are numbered in. */
export interface Numbers {
  readonly feed: Feed;
  readonly first: number;
}

/** Whether an event has a number. The end of a room goes to `rooms.v2` connections in the frame that detaches them. */
export const isNumbered = ({ type }: RoomEvent): boolean => type !== 'room_ended';

const packed = ({ type, data }: RoomEvent): PackedEvent => ({ type, data }) as PackedEvent;

/** The text of a frame without its events, and where they go. */
function envelope(frame: EventsFrame): { readonly head: string; readonly bytes: number } {
  const text = JSON.stringify(frame);
  // `events` comes last, and is empty: `…"events":[]}`.
  return { head: text.slice(0, -2), bytes: Buffer.byteLength(text) };
}

/**
 * Packs numbered events of one room into frames of at most 30 KB, in order. A larger event has a frame to itself, up to the limit of a
 * frame. An event that exceeds even that is left out: clients see the gap, and read it.
 */
export function pack(room_id: string, { feed, first }: Numbers, events: readonly RoomEvent[]): string[] {
  const frames: string[] = [];
  let open: { head: string; bytes: number; sent_at: string; parts: string[] } | undefined;
  const flush = (): void => {
    if (open) frames.push(`${open.head}${open.parts.join(',')}]}`);
    open = undefined;
  };
  const start = (seq: number, sent_at: string) => ({
    ...envelope({ type: 'events', room_id, feed, seq, sent_at, events: [] }),
    sent_at,
    parts: [],
  });

  let lost = false;
  for (const [index, event] of events.entries()) {
    const part = JSON.stringify(packed(event));
    const bytes = Buffer.byteLength(part);
    if (open && (open.sent_at !== event.sent_at || open.bytes + bytes + 1 > MAX_PACKED_BYTES)) flush();
    const frame: NonNullable<typeof open> = open ?? start(first + index, event.sent_at);
    lost = frame.bytes + bytes > MAX_FRAME_BYTES;
    if (lost) {
      flush();
      continue;
    }
    // One byte for the comma before it.
    frame.bytes += bytes + (frame.parts.length > 0 ? 1 : 0);
    frame.parts.push(part);
    open = frame;
  }
  flush();
  const last = events.at(-1);
  // Nothing follows that would show the gap.
  if (lost && last) {
    open = start(first + events.length, last.sent_at);
    flush();
  }
  return frames;
}

/**
 * Returns the last frame about a room, with the event that says why, if there is one.
 *
 * @param joined_at of the connection
 */
export function detachedFrame(
  room_id: string,
  event: RoomEvent | undefined,
  sent_at: string,
  joined_at: string | undefined,
): string {
  const frame: DetachedFrame = {
    type: 'detached',
    room_id,
    reason: event?.type === 'room_ended' ? 'room_ended' : 'removed',
    ...(joined_at !== undefined && { joined_at }),
    sent_at,
    events: event ? [packed(event)] : [],
  };
  return JSON.stringify(frame);
}

/**
 * Returns what says which events a batch has: equal for a batch that is delivered again unchanged, and for no other.
 *
 * @param source where the batch comes from, such as its first record
 */
export const batchIdentity = (source: string, events: readonly RoomEvent[]): string =>
  createHash('sha256')
    .update(JSON.stringify([source, events.map(packed)]))
    .digest('base64url')
    .slice(0, 22);
