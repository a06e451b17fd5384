import type { Message, MyRoom, RoomsClient } from '../../../client/src/index.ts';
import { createStore, type Store } from '../store.ts';
import type { RoomList } from './room-list.ts';
import { isRecord, type KeyValueStorage, newest, readStored, writeStored } from './storage.ts';

/** Rooms that are asked for their newest message each time the list of rooms is read. Bounds what unread marks cost. */
const ROOMS_PER_READING = 4;
/** Rooms whose last read message is kept. */
const MAX_ROOMS = 500;

interface Reading {
  /** Messages from before this time count as read in rooms that were never opened here. */
  readonly since: string;
  /** ID of the newest message that the user has seen, by room. */
  readonly readTo: Readonly<Record<string, string>>;
}

const isReading = (value: unknown): value is Reading =>
  isRecord(value) &&
  typeof value.since === 'string' &&
  isRecord(value.readTo) &&
  Object.values(value.readTo).every((id) => typeof id === 'string');

/** True where the user has not seen the newest message of a room. */
export function isUnread(
  newestMessage: Pick<Message, 'message_id' | 'sender_id' | 'sent_at'> | undefined,
  roomId: string,
  { since, readTo }: Reading,
  userId: string,
): boolean {
  if (!newestMessage || newestMessage.sender_id === userId) return false;
  const seen = readTo[roomId];
  return seen === undefined ? newestMessage.sent_at > since : newestMessage.message_id > seen;
}

/** Chooses the rooms to look at next: those that have waited longest. An ended room is looked at once. */
export function nextToCheck(
  rooms: readonly MyRoom[],
  checked: ReadonlyMap<string, { readonly turn: number; readonly ended: boolean }>,
  open: string | undefined,
): MyRoom[] {
  return rooms
    .filter(({ room_id, status, archive_room }) => {
      if (archive_room || status === 'booked' || room_id === open) return false;
      return !(status === 'ended' && checked.get(room_id)?.ended);
    })
    .sort((a, b) => (checked.get(a.room_id)?.turn ?? 0) - (checked.get(b.room_id)?.turn ?? 0))
    .slice(0, ROOMS_PER_READING);
}

export interface Unread {
  /** IDs of the rooms with messages that the user has not seen. */
  readonly store: Store<ReadonlySet<string>>;
  /** The user sees the room up to this message. */
  markRead(roomId: string, messageId: string): void;
  /** A message came in that the user does not see. */
  markUnread(roomId: string): void;
  /** The room that is open: its own page says what the user sees. */
  setOpen(roomId: string | undefined): void;
  close(): void;
}

/** Unread marks of one user in this browser. Each reading of the list of rooms brings those of a few rooms up to date. */
export function trackUnread(
  client: RoomsClient,
  rooms: RoomList,
  storage: KeyValueStorage | undefined,
  userId: string,
): Unread {
  const key = `rooms.read.${userId}`;
  const first: Reading = { since: new Date().toISOString(), readTo: {} };
  const read = (): Reading => readStored(storage, key, isReading) ?? first;
  if (!readStored(storage, key, isReading)) writeStored(storage, key, first);
  /** For browsers that keep nothing. */
  let memory = read();
  const store = createStore<ReadonlySet<string>>(new Set());
  const checked = new Map<string, { turn: number; ended: boolean }>();
  let turn = 0;
  let open: string | undefined;
  let readAt: number | undefined;

  const mark = (roomId: string, unread: boolean): void =>
    store.update((ids) => {
      if (ids.has(roomId) === unread) return ids;
      const next = new Set(ids);
      if (unread) next.add(roomId);
      else next.delete(roomId);
      return next;
    });

  async function check({ room_id, status }: MyRoom): Promise<void> {
    checked.set(room_id, { turn: ++turn, ended: status === 'ended' });
    const { items } = await client.listMessages(room_id, { limit: 1 });
    // Opened, or read in another tab, meanwhile.
    if (room_id === open) return;
    mark(room_id, isUnread(items[0], room_id, { ...memory, readTo: { ...memory.readTo, ...read().readTo } }, userId));
  }

  const stop = rooms.store.subscribe(() => {
    const state = rooms.store.get();
    if (!state.rooms || state.readAt === readAt || document.hidden) return;
    readAt = state.readAt;
    // A room that cannot be read now is asked again later.
    for (const room of nextToCheck(state.rooms, checked, open))
      check(room).catch(() => checked.set(room.room_id, { turn, ended: false }));
  });

  return {
    store,
    markRead(roomId, messageId) {
      mark(roomId, false);
      const current = read();
      if ((current.readTo[roomId] ?? memory.readTo[roomId] ?? '') >= messageId) return;
      const { [roomId]: _, ...others } = current.readTo;
      memory = { ...current, readTo: newest({ ...others, [roomId]: messageId }, MAX_ROOMS) };
      writeStored(storage, key, memory);
    },
    markUnread: (roomId) => mark(roomId, true),
    setOpen(roomId) {
      open = roomId;
    },
    close: stop,
  };
}
