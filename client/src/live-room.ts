import type { Message } from './contract.ts';
import { readMarks } from './read-marks.ts';
import { isFinal } from './room-errors.ts';
import type { RoomHost } from './room-host.ts';
import type { RoomInbox } from './room-inbox.ts';
import type { RoomOutlet } from './room-outlet.ts';
import type { LiveRoom, RoomClosed } from './room-types.ts';
import { type Sender, type SenderHost, sender } from './sender.ts';
import type { Socket } from './socket.ts';

/* The public object of a joined room, and the sender of its messages. */

export interface LiveRoomHost extends Pick<SenderHost, 'room_id' | 'onLag'> {
  readonly host: RoomHost;
  readonly inbox: RoomInbox;
  readonly outlet: RoomOutlet;
  /** Why the room is closed. */
  readonly closed: () => RoomClosed | undefined;
  /** Waits for a socket on which the room is joined. Rejects if the room is closed or ending. */
  readonly joinedSocket: (signal: AbortSignal) => Promise<Socket>;
  readonly leave: () => Promise<void>;
}

export function liveRoom({ room_id, host, inbox, outlet, closed, joinedSocket, leave, onLag }: LiveRoomHost): {
  readonly room: LiveRoom;
  readonly messages: Sender;
} {
  const { listeners, typing } = outlet;
  const messages = sender({
    room_id,
    settings: host.settings,
    upload: host.upload,
    isDelivered: inbox.log.has,
    // After a first attempt, a message may be stored. A retry gets its reply even if the room cannot be joined anymore.
    socketFor: async (sentBefore, signal) => {
      try {
        return await joinedSocket(signal);
      } catch (error) {
        if (sentBefore && isFinal(error)) return host.socket(signal);
        throw error;
      }
    },
    onChange: (pending) => listeners.emit('pending', pending),
    onLag,
  });

  /** Delivers the response to an own change at once. */
  async function change(answer: Promise<Message>): Promise<Message> {
    const message = await answer;
    inbox.takeAnswer(message);
    return message;
  }

  const room: LiveRoom = {
    id: room_id,
    get info() {
      if (!outlet.info) throw new Error('The room has not been joined.');
      return outlet.info;
    },
    get closed() {
      return closed();
    },
    get pending() {
      return messages.pending;
    },
    on: listeners.on,
    once: listeners.once,
    off: listeners.off,
    events: outlet.events,
    messages: outlet.messages,
    async send(message, options) {
      const sent = messages.send(message, options);
      typing.sent();
      return sent;
    },
    edit: (id, text, options) => change(host.edit(id, text, options)),
    delete: (id, options) => change(host.delete(id, options)),
    markRead: readMarks(host, outlet),
    setTyping: typing.set,
    get typing() {
      return typing.peers;
    },
    get lastChange() {
      return Number.isNaN(inbox.lastChange) ? undefined : inbox.lastChange;
    },
    leave,
  };
  return { room, messages };
}
