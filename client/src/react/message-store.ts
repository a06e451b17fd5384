import type { RoomsClient } from '../client.ts';
import type { Message } from '../contract.ts';
import { type ListedRoom, type LiveMessages, liveMessages, type MessageListState } from '../live-state.ts';
import { lazyStore, type ReadableStore } from './lazy-store.ts';
import { type Outbox, type OutboxMessage, shownOutbox } from './outbox.ts';
import type { RoomStore } from './room-store.ts';

export interface MessagesState {
  /** In the order of their IDs, without gaps, including edits and deletions. */
  readonly messages: readonly Message[];
  /** Own messages to show after `messages`: those that are being sent, and failed ones. */
  readonly pending: readonly OutboxMessage[];
  /** The state of the messages before the first one. `failed`: call `loadEarlier` to try again. */
  readonly earlier: MessageListState['earlier'];
}

export interface MessageStore extends ReadableStore<MessagesState> {
  /** Reads the page before the first message. Never rejects: see `earlier`. */
  loadEarlier(): Promise<void>;
  /** Changes the text of an own message. */
  edit(messageId: string, text: string): Promise<Message>;
  /** Deletes an own message, or any message for admins. */
  remove(messageId: string): Promise<Message>;
}

export const initialMessages: MessagesState = { messages: [], pending: [], earlier: 'loading' };

/** A room that has not started or has ended, so that only its history can be shown. */
export const quietRoom = (id: string): ListedRoom => ({ id, pending: [], on: () => () => {} });

/** Returns the messages of a room. The room stays joined while the store has listeners. */
export function messageStore(
  client: RoomsClient,
  roomId: string,
  room: RoomStore,
  sent: Outbox,
  pageSize: number | undefined,
): MessageStore {
  let list: LiveMessages | undefined;
  /** Replies to edits and deletions, by message, that are newer than their events or have no event. */
  const replies = new Map<string, Message>();
  let show = (): void => {};

  /** Returns the later version of a message: the message itself, or the one from a reply. */
  const latest = (message: Message): Message => {
    const reply = replies.get(message.message_id);
    return reply && (reply.change ?? 0) > (message.change ?? 0) ? reply : message;
  };
  async function apply(change: Promise<Message>): Promise<Message> {
    const message = await change;
    replies.set(message.message_id, message);
    show();
    return message;
  }

  const store = lazyStore<MessagesState>(initialMessages, (own) => {
    let source: ListedRoom | undefined;
    let isReady = false;
    const quiet = quietRoom(roomId);

    show = () => {
      isReady ||= list !== undefined && list.state.earlier !== 'loading';
      const messages = list?.state.messages ?? [];
      // A page of history can contain a message before its event is delivered.
      const pending = shownOutbox(sent.state.entries, list?.state.pending ?? []).filter(
        ({ client_message_id: id }) => !isReady || !messages.some(({ client_message_id }) => client_message_id === id),
      );
      const isEmpty = pending.length === 0 && own.state.pending.length === 0;
      own.set({
        ...(!isEmpty && { pending }),
        // When the room is joined again, the previous list stays visible until the new one has its first page.
        ...(list && isReady && { messages: shownMessages(messages), earlier: list.state.earlier }),
      });
    };

    /** Returns the same array unless a reply changes it, to avoid unnecessary rendering. */
    function shownMessages(messages: readonly Message[]): readonly Message[] {
      if (replies.size === 0) return messages;
      const shown = messages.map(latest);
      const isSame = shown.every((message, at) => message === own.state.messages[at]);
      return isSame && shown.length === own.state.messages.length ? own.state.messages : shown;
    }

    function follow(): void {
      const { live, status } = room.state;
      const next = live ?? (status === 'ended' || status === 'booked' ? quiet : undefined);
      if (!next || next === source) return;
      source = next;
      isReady = false;
      list?.close();
      list = liveMessages(client, next, pageSize === undefined ? {} : { pageSize });
      list.subscribe(() => show());
      show();
    }

    const stops = [room.subscribe(follow), sent.subscribe(() => show())];
    follow();
    show();
    return () => {
      for (const stop of stops) stop();
      list?.close();
      list = undefined;
      replies.clear();
      show = () => {};
    };
  });
  const joined = () => (room.state.status === 'joined' ? room.state.live : undefined);
  return Object.assign(store, {
    loadEarlier: () => list?.loadEarlier() ?? Promise.resolve(),
    edit: (id: string, text: string) => apply(joined()?.edit(id, text) ?? client.editMessage(roomId, id, text)),
    // Admins can delete messages after the end of the room, too.
    remove: (id: string) => apply(joined()?.delete(id) ?? client.deleteMessage(roomId, id)),
  });
}
