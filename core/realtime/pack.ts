import { createHash } from 'node:crypto';
import { MAX_FRAME_BYTES, MAX_PACKED_BYTES } from '../contract/limits.ts';
import type { DetachedFrame, EventsFrame, Feed, PackedEvent, RoomEvent } from '../contract/realtime.ts';

/* Builds the frames of rooms.v2. Pure. See docs/decisions/0030-rooms-v2.md. */

/** The feed of a batch, and the number of its first event. */
export interface Numbers {
  readonly feed: Feed;
  readonly first: number;
}

/** Whether an event has a number. The end of a room goes to `rooms.v2` connections in the frame that detaches them. */
export const isNumbered = ({ type }: RoomEvent): boolean => type !== 'room_ended';

const packed = ({ type, data }: RoomEvent): PackedEvent => ({ type, data }) as PackedEvent;

/** The text of a frame without events, and the position of its events. */
function envelope(frame: EventsFrame): { readonly head: string; readonly bytes: number } {
  const text = JSON.stringify(frame);
  // `events` comes last, and is empty: `…"events":[]}`.
  return { head: text.slice(0, -2), bytes: Buffer.byteLength(text) };
}

/**
 * Packs numbered events of one room into frames of at most 30 KB, in order. A larger event gets its own frame, up to
 * the maximum frame size. An event above that is omitted: clients notice the gap, and read the event.
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
  // No later event would reveal the gap.
  if (lost && last) {
    open = start(first + events.length, last.sent_at);
    flush();
  }
  return frames;
}

/**
 * Returns the last frame about a room, with the event that contains the reason, if there is one.
 *
 * @param joined_at when the connection joined
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
 * Returns an ID for the events of a batch. A repeated delivery of the same batch has the same ID, and any other batch a
 * different one.
 *
 * @param source the origin of the batch, such as its first record
 */
export const batchIdentity = (source: string, events: readonly RoomEvent[]): string =>
  createHash('sha256')
    .update(JSON.stringify([source, events.map(packed)]))
    .digest('base64url')
    .slice(0, 22);
