import { type Actions, MAX_MESSAGE_LENGTH, type Message } from './contract.ts';
import { codeOf, invalidRequest, isRetryable, retryAfterOf } from './errors.ts';
import { isFile } from './files.ts';
import type { Settings } from './options.ts';
import { randomId } from './random.ts';
import type { OutgoingMessage, PendingMessage, SendOptions } from './room-types.ts';
import type { Socket } from './socket.ts';
import { abortable, backoff, deadline, sleep, timeoutError } from './timing.ts';

/** The parts of its room that sending needs. */
export interface SenderHost {
  readonly room_id: string;
  readonly settings: Settings;
  readonly upload: (
    file: Blob | Uint8Array<ArrayBuffer>,
    options: SendOptions,
  ) => Promise<{ readonly file_id: string }>;
  /**
   * A socket to send a message on: where the room is joined; for one that was sent before, any socket where the room is closed. Rejects
   * when there can be none.
   */
  readonly socketFor: (sentBefore: boolean, signal: AbortSignal) => Promise<Socket>;
  readonly isDelivered: (message_id: string) => boolean;
  readonly onChange: (pending: readonly PendingMessage[]) => void;
  /** A message was stored `lags` times `lagMs` ago, and has not been delivered. */
  readonly onLag: (lags: number) => void;
}

export interface Sender {
  readonly pending: readonly PendingMessage[];
  send(message: OutgoingMessage, options?: SendOptions): Promise<Message>;
  /** Call it when a message is delivered to the application. */
  delivered(message: Message): void;
  /** Nothing more will be delivered. */
  close(): void;
}

interface Entry {
  shown: PendingMessage;
  /** Runs while the message is stored and not delivered. */
  lag?: ReturnType<typeof setTimeout>;
}

const CLIENT_MESSAGE_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** Throws `invalid_request` for a message that the service would reject. */
function requireValid({ text, attachment, client_message_id }: OutgoingMessage): void {
  if (text !== undefined && typeof text !== 'string') throw invalidRequest('text', 'must be a string');
  if ((text?.length ?? 0) > MAX_MESSAGE_LENGTH)
    throw invalidRequest('text', `must be at most ${MAX_MESSAGE_LENGTH} characters`);
  if (!text && !attachment) throw invalidRequest('text', 'must not be empty, unless there is an attachment');
  if (attachment && !isFile(attachment) && typeof attachment.file_id !== 'string')
    throw invalidRequest('attachment', 'must be a File, a Blob, a Uint8Array, or { file_id }');
  if (client_message_id !== undefined && !CLIENT_MESSAGE_ID.test(client_message_id))
    throw invalidRequest('client_message_id', 'must be 1 to 128 letters, digits or . _ : -');
}

/** Sends the messages of a room one at a time, and tracks those that are being sent. */
export function sender(host: SenderHost): Sender {
  const { settings } = host;
  let entries: readonly Entry[] = [];
  let queue: Promise<unknown> = Promise.resolve();
  let closed = false;

  const changed = () => host.onChange(entries.map(({ shown }) => shown));

  function remove(entry: Entry): void {
    clearTimeout(entry.lag);
    if (!entries.includes(entry)) return;
    entries = entries.filter((other) => other !== entry);
    changed();
  }

  function show(entry: Entry, shown: Partial<PendingMessage>): void {
    entry.shown = { ...entry.shown, ...shown };
    if (entries.includes(entry)) changed();
  }

  function watchLag(entry: Entry, lags = 1): void {
    entry.lag = setTimeout(() => {
      watchLag(entry, lags + 1);
      host.onLag(lags);
    }, settings.lagMs);
  }

  async function sendUntilAcknowledged(frame: Actions['message']['frame'], signal: AbortSignal): Promise<Message> {
    for (let tried = 0; ; tried++) {
      const socket = await host.socketFor(tried > 0, signal);
      try {
        return await abortable(socket.request('message', frame), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isRetryable(error)) throw error;
        // The room notices the loss a moment later. Wait for the next socket.
        if (codeOf(error) === 'connection_lost') await sleep(0, signal);
        else await sleep(retryAfterOf(error) + backoff(tried, settings.retryInitialMs, settings.retryMaxMs), signal);
      }
    }
  }

  /** Sends when all earlier messages have been sent or have failed. */
  function sendInTurn(frame: Actions['message']['frame'], outer: AbortSignal | undefined): Promise<Message> {
    const time = deadline(settings.sendMs, () => timeoutError('Sending a message', settings.sendMs, 'sendMs'), outer);
    const before = queue;
    const sent = abortable(before, time.signal)
      .then(() => sendUntilAcknowledged(frame, time.signal))
      .finally(time.done);
    queue = sent.catch(() => before);
    return sent;
  }

  async function send(message: OutgoingMessage, options: SendOptions = {}): Promise<Message> {
    requireValid(message);
    options.signal?.throwIfAborted();
    const { text, attachment, client_message_id = randomId() } = message;
    const entry: Entry = {
      shown: {
        client_message_id,
        text: text || null,
        attachment: attachment && !isFile(attachment) ? { file_id: attachment.file_id } : null,
        state: isFile(attachment) ? 'uploading' : 'queued',
        queued_at: new Date().toISOString(),
      },
    };
    options.onSending?.(entry.shown);
    if (!closed) {
      entries = [...entries, entry];
      changed();
    }
    try {
      if (isFile(attachment)) {
        const { file_id } = await host.upload(attachment, options);
        show(entry, { state: 'queued', attachment: { file_id } });
      }
      const { attachment: file } = entry.shown;
      const frame = {
        room_id: host.room_id,
        client_message_id,
        ...(text && { text }),
        ...(file && { attachment: file }),
      };
      const stored = await sendInTurn(frame, options.signal);
      if (closed || host.isDelivered(stored.message_id)) remove(entry);
      else if (entries.includes(entry)) {
        show(entry, { state: 'stored' });
        watchLag(entry);
      }
      return stored;
    } catch (error) {
      remove(entry);
      throw error;
    }
  }

  return {
    get pending() {
      return entries.map(({ shown }) => shown);
    },
    send,
    delivered({ client_message_id }) {
      const entry = entries.find(({ shown }) => shown.client_message_id === client_message_id);
      if (entry) remove(entry);
    },
    close() {
      closed = true;
      for (const entry of entries) if (entry.shown.state === 'stored') remove(entry);
    },
  };
}
