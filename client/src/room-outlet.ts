import { EVENT_NAMES, type Message, type MyRoom, type ReadMark } from './contract.ts';
import { type Emitter, emitter, type Feed, feed } from './events.ts';
import { withEvent, withReadMark } from './room-info.ts';
import type { RoomClosed, RoomListeners } from './room-types.ts';
import type { RoomEvent } from './socket.ts';
import { type Typing, typingIn } from './typing.ts';

/* The application's view of a room: its current data, listeners, iterators, and who is typing. */

export interface RoomOutlet {
  /** The room as it was last received. Undefined before the first join. */
  info: MyRoom | undefined;
  readonly listeners: Emitter<RoomListeners>;
  readonly typing: Typing;
  /** Delivers an event. */
  deliver(event: RoomEvent): void;
  /** Processes a read mark of the user. */
  onRead(mark: Pick<ReadMark, 'read_to'>): void;
  events(): AsyncIterableIterator<RoomEvent, undefined>;
  messages(): AsyncIterableIterator<Message, undefined>;
  /** Emits `closed` and ends the iterators. */
  close(why: RoomClosed): void;
}

/** @param sendTyping Sends that the user types, or has stopped. Never throws */
export function roomOutlet(
  userId: () => string | undefined,
  isClosed: () => boolean,
  sendTyping: (typing: boolean) => void,
): RoomOutlet {
  const listeners = emitter<RoomListeners>([...EVENT_NAMES, 'pending', 'missed', 'rejoined', 'waiting', 'closed']);
  const feeds = new Set<Feed<RoomEvent>>();
  /** The newest delivered message of others. */
  let newestOther = '';
  const typing = typingIn({ send: sendTyping, onChange: (peers) => listeners.emit('typing', peers) });

  const outlet: RoomOutlet = {
    info: undefined,
    listeners,
    typing,
    deliver(event) {
      if (outlet.info) outlet.info = withEvent(outlet.info, event, userId());
      if (event.type === 'read') outlet.onRead(event.data);
      if (event.type === 'peer_left') typing.stopped(event.data.participant_id);
      if (event.type === 'message') {
        const { sender_id, message_id } = event.data;
        typing.stopped(sender_id);
        if (sender_id !== userId() && message_id > newestOther) newestOther = message_id;
      }
      // A listener of `typing` has closed the room.
      if (isClosed()) return;
      // The cast is safe: type and data belong together, which the compiler cannot infer from the union.
      if (event.type !== 'typing')
        listeners.emit(event.type, ...([event.data, event] as unknown as RoomListeners[typeof event.type]));
      else if (event.data.participant_id !== userId()) typing.heard(event.data);
      for (const { push } of feeds) push(event);
    },
    onRead({ read_to }) {
      if (outlet.info && read_to) outlet.info = withReadMark(outlet.info, read_to, newestOther);
    },
    events() {
      const events = feed<RoomEvent>(() => feeds.delete(events));
      if (isClosed()) events.end();
      else feeds.add(events);
      return events.iterator;
    },
    messages() {
      const own = feed<Message>(() => stop());
      const stopMessages = listeners.on('message', own.push);
      const stopClosed = listeners.on('closed', own.end);
      const stop = () => {
        stopMessages();
        stopClosed();
      };
      if (isClosed()) own.end();
      return own.iterator;
    },
    close(why) {
      typing.close();
      listeners.emit('closed', why);
      for (const { end } of feeds) end();
      feeds.clear();
    },
  };
  return outlet;
}
