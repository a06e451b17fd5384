import type { ListedParticipant, Message, MyRoom } from '../../../client/src/index.ts';
import { peopleChanges, plainText, roomChanges, type Sentence } from './sentences.ts';

/*
 * The state of an open room, and pure functions that change it. session.ts applies them.
 */

/** A file of a message that is being sent. */
export interface OutgoingFile {
  readonly name: string;
  readonly size: number;
  /** The file itself. Undefined after a reload. */
  readonly file: File | undefined;
  /** ID of the uploaded file. Undefined before the upload has finished. */
  readonly file_id: string | undefined;
  /** Uploaded bytes. */
  readonly loaded: number;
}

/** A message of the user that the service has not acknowledged yet. */
export interface Outgoing {
  readonly client_message_id: string;
  readonly text: string;
  readonly files: readonly OutgoingFile[];
  /** The reason why it was not sent. Undefined while it is being sent. */
  readonly failure: string | undefined;
  /** ID of the message that it replies to. */
  readonly reply_to?: string | undefined;
  /** When the user sent it. */
  readonly at: string;
}

/** Something that happened in the room, shown between the messages. */
export interface Notice {
  readonly key: string;
  readonly sentence: Sentence;
  readonly at: string;
}

/** The relation of the user to the room. */
export type Standing =
  | { readonly is: 'joining' }
  | { readonly is: 'joined' }
  | { readonly is: 'booked' }
  | { readonly is: 'ended' }
  | { readonly is: 'removed' }
  | { readonly is: 'failed'; readonly why: string };

export interface RoomState {
  readonly room: MyRoom | undefined;
  readonly standing: Standing;
  /** Undefined until their list has been read. */
  readonly people: readonly ListedParticipant[] | undefined;
  /** The loaded messages, oldest first. */
  readonly messages: readonly Message[];
  readonly outbox: readonly Outgoing[];
  readonly notices: readonly Notice[];
  /** Whether there are messages before the first one in `messages`. */
  readonly earlier: 'unknown' | 'loading' | 'more' | 'none' | 'failed';
}

export const emptyRoom: RoomState = {
  room: undefined,
  standing: { is: 'joining' },
  people: undefined,
  messages: [],
  outbox: [],
  notices: [],
  earlier: 'unknown',
};

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Replaces the messages. Removes own messages that have arrived from the outbox. */
export function withMessages(state: RoomState, messages: readonly Message[], userId: string): RoomState {
  const arrived = new Set(
    messages.filter(({ sender_id }) => sender_id === userId).map(({ client_message_id }) => client_message_id),
  );
  const isWaiting = state.outbox.every(({ client_message_id }) => !arrived.has(client_message_id));
  const outbox = isWaiting
    ? state.outbox
    : state.outbox.filter(({ client_message_id }) => !arrived.has(client_message_id));
  return { ...state, messages, outbox };
}

export const withOutgoing = (state: RoomState, outgoing: Outgoing): RoomState => ({
  ...state,
  outbox: [...state.outbox, outgoing],
});

export const changeOutgoing = (state: RoomState, id: string, change: Partial<Outgoing>): RoomState => ({
  ...state,
  outbox: state.outbox.map((one) => (one.client_message_id === id ? { ...one, ...change } : one)),
});

/** Changes one file of a message that is being sent. */
export const changeFile = (state: RoomState, id: string, at: number, change: Partial<OutgoingFile>): RoomState => ({
  ...state,
  outbox: state.outbox.map((one) =>
    one.client_message_id === id
      ? { ...one, files: one.files.map((file, index) => (index === at ? { ...file, ...change } : file)) }
      : one,
  ),
});

export const withoutOutgoing = (state: RoomState, id: string): RoomState => ({
  ...state,
  outbox: state.outbox.filter(({ client_message_id }) => client_message_id !== id),
});

/** Adds notices, sorted by time. Ignores a notice with the same sentence and time as an existing one. */
export function withNotices(state: RoomState, sentences: readonly Sentence[], at: string): RoomState {
  const known = new Set(state.notices.map(({ key }) => key));
  const added = sentences
    .map((sentence): Notice => ({ key: `notice-${at}-${plainText(sentence)}`, sentence, at }))
    .filter(({ key }) => !known.has(key));
  if (added.length === 0) return state;
  const notices = [...state.notices, ...added].sort((a, b) => compareText(a.at, b.at));
  return { ...state, notices };
}

/** Replaces the participants, and adds notices of the changes. */
export function withPeople(
  state: RoomState,
  people: readonly ListedParticipant[],
  userId: string,
  at: string,
): RoomState {
  const changes = state.people ? peopleChanges(state.people, people, userId) : [];
  return withNotices({ ...state, people }, changes, at);
}

/** Replaces the room, and adds notices of the changes. */
export function withRoom(state: RoomState, room: MyRoom, at: string): RoomState {
  return withNotices({ ...state, room }, state.room ? roomChanges(state.room, room) : [], at);
}

/** Returns the name of a message's sender. For users who have left, it is the name at the time of the message. */
export const senderName = ({ people }: Pick<RoomState, 'people'>, message: Message): string =>
  people?.find(({ participant_id }) => participant_id === message.sender_id)?.username ??
  message.sender_name ??
  message.sender_id;

/** Returns why the user cannot write in a joined room, or undefined if they can. */
export function readOnlyReason(room: Pick<MyRoom, 'posting' | 'role' | 'is_admin'> | undefined): string | undefined {
  if (!room || room.is_admin) return undefined;
  if (room.role === 'observer') return 'You are an observer here: you can read, but not write.';
  return room.posting === 'admins' ? 'Only admins can write in this room at the moment.' : undefined;
}

/** Returns the name of a user in this room. */
export const nameOf = ({ people }: Pick<RoomState, 'people'>, userId: string): string =>
  people?.find(({ participant_id }) => participant_id === userId)?.username ?? userId;

/** One row of the chat. */
export type Line =
  | { readonly kind: 'day'; readonly key: string; readonly at: string }
  | { readonly kind: 'notice'; readonly key: string; readonly notice: Notice }
  | { readonly kind: 'system'; readonly key: string; readonly message: Message }
  | { readonly kind: 'message'; readonly key: string; readonly message: Message; readonly goesOn: boolean }
  | { readonly kind: 'outgoing'; readonly key: string; readonly outgoing: Outgoing; readonly goesOn: boolean };

/** Messages of one sender within this time are grouped, in milliseconds. */
const TOGETHER_MS = 5 * 60_000;

const sameDay = (a: string, b: string): boolean => new Date(a).toDateString() === new Date(b).toDateString();

/**
 * Returns messages, notices and days in display order. Messages that are being sent come last. Notices from before the first loaded
 * message are omitted until all earlier messages are loaded.
 */
export function timeline({ messages, notices: all, outbox, earlier }: RoomState, userId: string): readonly Line[] {
  const first = messages[0]?.sent_at;
  const notices = earlier === 'none' ? all : all.filter(({ at }) => first !== undefined && at >= first);
  const lines: Line[] = [];
  let day: string | undefined;
  let last: { readonly sender: string; readonly at: string } | undefined;
  const onDay = (at: string): void => {
    if (day === undefined || !sameDay(day, at)) {
      lines.push({ kind: 'day', key: `day-${at}`, at });
      last = undefined;
    }
    day = at;
  };
  const goesOn = (sender: string, at: string): boolean => {
    const together = last?.sender === sender && Date.parse(at) - Date.parse(last.at) < TOGETHER_MS;
    last = { sender, at };
    return together;
  };
  let told = 0;
  const tellUpTo = (at: string | undefined): void => {
    for (let notice = notices[told]; notice && (at === undefined || notice.at <= at); notice = notices[++told]) {
      onDay(notice.at);
      lines.push({ kind: 'notice', key: notice.key, notice });
      last = undefined;
    }
  };
  for (const message of messages) {
    tellUpTo(message.sent_at);
    onDay(message.sent_at);
    const { sender_id, client_message_id, message_id } = message;
    if (message.kind === 'system') {
      lines.push({ kind: 'system', key: message_id, message });
      last = undefined;
      continue;
    }
    // An own message keeps the key that it had while it was being sent, so it stays the same element.
    const key = sender_id === userId ? client_message_id : message_id;
    lines.push({ kind: 'message', key, message, goesOn: goesOn(sender_id, message.sent_at) });
  }
  tellUpTo(undefined);
  for (const outgoing of outbox) {
    onDay(outgoing.at);
    lines.push({ kind: 'outgoing', key: outgoing.client_message_id, outgoing, goesOn: goesOn(userId, outgoing.at) });
  }
  return lines;
}
