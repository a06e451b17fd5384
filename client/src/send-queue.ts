import type { Message } from './contract.ts';
import { RoomsApiError, type RoomsErrorCode } from './errors.ts';
import { isObject } from './http.ts';
import { MAX_SEND_MS } from './options.ts';
import type { LiveRoom, OutgoingMessage, PendingMessage, SendOptions } from './room-types.ts';

/*
 * A send queue that survives a reload of the page or a restart of the program. Optional: bundlers omit this file if
 * nothing imports it.
 */

/** A message in the stored format of a queue, which is JSON. */
export interface QueuedMessage {
  readonly room_id: string;
  readonly client_message_id: string;
  readonly text: string | null;
  readonly attachment: { readonly file_id: string } | null;
  /** Missing in messages that an earlier version has stored, like the next three fields. */
  readonly attachments?: readonly { readonly file_id: string }[];
  readonly type?: string | null;
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly reply_to?: string | null;
  /** ISO 8601. */
  readonly queued_at: string;
  /** Sorts messages in the order in which they were queued. */
  readonly position: number;
}

type MaybePromise<T> = T | Promise<T>;

/** Where the messages of one user are stored until they are sent. */
export interface SendQueueStorage {
  /** Returns all messages, of all rooms, in any order. */
  list(): MaybePromise<readonly QueuedMessage[]>;
  /** Stores a message under its `client_message_id`. */
  put(message: QueuedMessage): MaybePromise<void>;
  /** Does nothing if there is no such message. */
  delete(clientMessageId: string): MaybePromise<void>;
}

/** A message from before a reload, and its outcome: `sent`, or `error`. */
export interface RestoredMessage {
  readonly message: QueuedMessage;
  readonly sent?: Message;
  readonly error?: unknown;
}

export interface SendQueue {
  /**
   * Like `room.send`. The message is stored until it is acknowledged or rejected. If it has a file to upload, it is
   * stored after the upload.
   */
  send(message: OutgoingMessage, options?: SendOptions): Promise<Message>;
  /**
   * Resolves when all messages from before a reload have been sent or have failed, each within `sendMs`. Never rejects.
   */
  readonly restored: Promise<readonly RestoredMessage[]>;
}

let lastPosition = 0;
/** Returns a number above all earlier ones, also from before a reload, if the clock was right. */
function nextPosition(): number {
  lastPosition = Math.max(lastPosition + 1, Date.now());
  return lastPosition;
}

/** Errors after which a message stays stored, so that it can be sent later. */
const KEPT: ReadonlySet<RoomsErrorCode | undefined> = new Set(['connection_closed', 'room_closed']);

const isKept = (error: unknown): boolean => error instanceof RoomsApiError && (error.retryable || KEPT.has(error.code));

const reportToConsole = (error: unknown): void =>
  console.error('The send queue of @rooms/client is not stored.', error);

/**
 * Returns a queue for a joined room. First sends the room's stored messages, in their original order. Each message
 * keeps its `client_message_id`, so that the service stores it only once. A message that is older than 23 hours is not
 * sent, because the service could store it twice.
 *
 * @param onStorageError called with errors of the storage, which do not prevent sending. Default: writes them to the
 * console
 */
export function sendQueue(
  room: LiveRoom,
  storage: SendQueueStorage,
  { onStorageError = reportToConsole }: { readonly onStorageError?: (error: unknown) => void } = {},
): SendQueue {
  const guarded = async <T>(work: () => MaybePromise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      onStorageError(error);
      return undefined;
    }
  };

  async function sendStored(message: OutgoingMessage, options: SendOptions = {}): Promise<Message> {
    let id: string | undefined;
    let writing: Promise<unknown> | undefined;
    const put = ({ state, ...message }: PendingMessage) => {
      if (state !== 'queued' || writing) return;
      const position = nextPosition();
      writing = guarded(() => storage.put({ room_id: room.id, ...message, position }));
    };
    const stop = room.on('pending', (pending) => {
      const own = pending.find(({ client_message_id }) => client_message_id === id);
      if (own) put(own);
    });
    const remove = async () => {
      await writing;
      if (id) await guarded(() => storage.delete(id ?? ''));
    };
    const onSending = (pending: PendingMessage) => {
      id = pending.client_message_id;
      put(pending);
      options.onSending?.(pending);
    };
    try {
      const sent = await room.send(message, { ...options, onSending });
      await remove();
      return sent;
    } catch (error) {
      if (!isKept(error)) await remove();
      throw error;
    } finally {
      stop();
    }
  }

  async function resend(message: QueuedMessage): Promise<RestoredMessage> {
    const { client_message_id, text, attachment, attachments = [], type, data, reply_to, queued_at } = message;
    const files = attachments.length > 0 ? attachments : attachment ? [attachment] : [];
    // Also if the time is invalid.
    if (!(Date.now() - Date.parse(queued_at) < MAX_SEND_MS)) {
      await guarded(() => storage.delete(client_message_id));
      return { message, error: new RoomsApiError('timeout', 'The message was queued more than 23 hours ago.') };
    }
    try {
      const outgoing = {
        client_message_id,
        ...(text && { text }),
        ...(files.length > 0 && { attachments: files }),
        ...(type && { type }),
        ...(data && { data }),
        ...(reply_to && { reply_to }),
      };
      const sent = await room.send(outgoing);
      await guarded(() => storage.delete(client_message_id));
      return { message, sent };
    } catch (error) {
      if (!isKept(error)) await guarded(() => storage.delete(client_message_id));
      return { message, error };
    }
  }

  const listed = guarded(() => storage.list()).then((all = []) => {
    const own = all.filter(({ room_id }) => room_id === room.id);
    const sorted = [...own].sort((a, b) => a.position - b.position);
    // Each stored message is passed to the room here, so that new messages come after them.
    return sorted.map(resend);
  });
  return {
    restored: listed.then((all) => Promise.all(all)),
    async send(message, options) {
      await listed;
      return sendStored(message, options);
    },
  };
}

const isTextOrNothing = (value: unknown): boolean => value === undefined || value === null || typeof value === 'string';

/** Whether a stored value is a message of a queue. Another program may have stored something else. */
function isQueued(value: unknown): value is QueuedMessage {
  if (!isObject(value)) return false;
  const { room_id, client_message_id, queued_at, position, attachments = [] } = value;
  return (
    [room_id, client_message_id, queued_at].every((each) => typeof each === 'string') &&
    [value.text, value.type, value.reply_to].every(isTextOrNothing) &&
    typeof position === 'number' &&
    Array.isArray(attachments)
  );
}

/**
 * Returns a storage for {@link sendQueue} in `localStorage` or another Web Storage.
 *
 * @param userId separates the messages of several users of a browser
 */
export function webStorageQueue(
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>,
  userId: string,
): SendQueueStorage {
  const prefix = `rooms.send-queue.${encodeURIComponent(userId)}.`;
  return {
    list() {
      const keys = Array.from({ length: storage.length }, (_, n) => storage.key(n) ?? '');
      return keys
        .filter((key) => key.startsWith(prefix))
        .flatMap((key): QueuedMessage[] => {
          try {
            const message: unknown = JSON.parse(storage.getItem(key) ?? '');
            if (isQueued(message)) return [message];
          } catch {
            // A partial entry.
          }
          storage.removeItem(key);
          return [];
        });
    },
    put: (message) => storage.setItem(prefix + message.client_message_id, JSON.stringify(message)),
    delete: (clientMessageId) => storage.removeItem(prefix + clientMessageId),
  };
}
