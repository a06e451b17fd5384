import {
  type Actions,
  MAX_ATTACHMENTS,
  MAX_JSON_BYTES,
  MAX_MESSAGE_LENGTH,
  MAX_MESSAGE_TYPE_LENGTH,
  type Message,
} from './contract.ts';
import { codeOf, invalidRequest, isRetryable, retryAfterOf } from './errors.ts';
import { isFile, type Progress } from './files.ts';
import type { Settings } from './options.ts';
import { randomId } from './random.ts';
import type { OutgoingFile, OutgoingMessage, PendingMessage, SendOptions } from './room-types.ts';
import type { Socket } from './socket.ts';
import { abortable, backoff, deadline, sleep, timeoutError } from './timing.ts';

/** The parts of a room that sending uses. */
export interface SenderHost {
  readonly room_id: string;
  readonly settings: Settings;
  readonly upload: (
    file: Blob | Uint8Array<ArrayBuffer>,
    options: SendOptions,
  ) => Promise<{ readonly file_id: string }>;
  /**
   * Returns a socket to send a message on: that of the joined room or, for a retry in a closed room, any socket.
   * Rejects if there can be none.
   */
  readonly socketFor: (sentBefore: boolean, signal: AbortSignal) => Promise<Socket>;
  readonly isDelivered: (message_id: string) => boolean;
  readonly onChange: (pending: readonly PendingMessage[]) => void;
  /** A message was stored `lags` times `lagMs` ago, and was not delivered yet. */
  readonly onLag: (lags: number) => void;
}

export interface Sender {
  readonly pending: readonly PendingMessage[];
  send(message: OutgoingMessage, options?: SendOptions): Promise<Message>;
  /** Call it when a message is delivered to the application. */
  delivered(message: Message): void;
  /** No further messages will be delivered. */
  close(): void;
}

interface Entry {
  shown: PendingMessage;
  /** The timer while the message is stored but not delivered. */
  lag?: ReturnType<typeof setTimeout>;
}

type MessageFrame = Actions['message']['frame'];

const CLIENT_MESSAGE_ID = /^[A-Za-z0-9._:-]{1,128}$/;

const isText = (value: unknown, maxLength: number): boolean => typeof value === 'string' && value.length <= maxLength;

/** Whether a value is a JSON object that is not too large. */
function isJsonObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  try {
    return new TextEncoder().encode(JSON.stringify(value)).length <= MAX_JSON_BYTES;
  } catch {
    return false;
  }
}

/** Throws `invalid_request` for a message that the service would reject. */
function requireValid(message: OutgoingMessage, files: readonly OutgoingFile[]): void {
  const { text, attachment, attachments, type, data, reply_to, client_message_id } = message;
  const require = (isValid: boolean, path: string, text: string) => {
    if (!isValid) throw invalidRequest(path, text);
  };
  const optional = (value: unknown, isValid: boolean, path: string, text: string) =>
    require(value === undefined || isValid, path, text);
  optional(text, isText(text, MAX_MESSAGE_LENGTH), 'text', `must be at most ${MAX_MESSAGE_LENGTH} characters`);
  optional(attachments, !attachment, 'attachments', 'cannot be combined with attachment');
  require(files.length <= MAX_ATTACHMENTS, 'attachments', `must be at most ${MAX_ATTACHMENTS} files`);
  for (const [n, file] of files.entries())
    require(isFile(file) || typeof file?.file_id === 'string', attachments
      ? `attachments.${n}`
      : 'attachment', 'must be a File, a Blob, a Uint8Array, or { file_id }');
  optional(
    type,
    isText(type, MAX_MESSAGE_TYPE_LENGTH) && type !== '',
    'type',
    `must be 1 to ${MAX_MESSAGE_TYPE_LENGTH} characters`,
  );
  optional(data, isJsonObject(data), 'data', `must be a JSON object of at most ${MAX_JSON_BYTES} bytes`);
  optional(reply_to, isText(reply_to, 26) && reply_to !== '', 'reply_to', 'must be the ID of a message');
  require(Boolean(text || files.length > 0 || data), 'text', 'must not be empty, unless there is a file or data');
  optional(
    client_message_id,
    CLIENT_MESSAGE_ID.test(client_message_id ?? ''),
    'client_message_id',
    'must be 1 to 128 letters, digits or . _ : -',
  );
}

/** Returns progress listeners for single files, which report the total progress. */
function progressOf(files: readonly OutgoingFile[], onProgress: SendOptions['onProgress']) {
  const sizes = files.map((file) => (file instanceof Blob ? file.size : isFile(file) ? file.byteLength : 0));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const done = files.map(() => 0);
  return (n: number) =>
    onProgress &&
    (({ loaded }: Progress) => {
      done[n] = loaded;
      onProgress({ loaded: done.reduce((sum, size) => sum + size, 0), total });
    });
}

/** Sends the messages of a room one at a time, and tracks pending ones. */
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

  async function sendUntilAcknowledged(frame: MessageFrame, signal: AbortSignal): Promise<Message> {
    for (let tried = 0; ; tried++) {
      const socket = await host.socketFor(tried > 0, signal);
      try {
        return await abortable(socket.request('message', frame), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isRetryable(error)) throw error;
        // The room detects the loss a moment later. Wait for the next socket.
        if (codeOf(error) === 'connection_lost') await sleep(0, signal);
        else await sleep(retryAfterOf(error) + backoff(tried, settings.retryInitialMs, settings.retryMaxMs), signal);
      }
    }
  }

  /** Sends after all earlier messages were sent or have failed. */
  function sendInTurn(frame: MessageFrame, outer: AbortSignal | undefined): Promise<Message> {
    const time = deadline(settings.sendMs, () => timeoutError('Sending a message', settings.sendMs, 'sendMs'), outer);
    const before = queue;
    const sent = abortable(before, time.signal)
      .then(() => sendUntilAcknowledged(frame, time.signal))
      .finally(time.done);
    queue = sent.catch(() => before);
    return sent;
  }

  /** Uploads the files that need it, and returns all files in order. The first failure aborts the other uploads. */
  async function uploadAll(
    files: readonly OutgoingFile[],
    { name, contentType, onProgress, signal }: SendOptions,
  ): Promise<{ readonly file_id: string }[]> {
    const uploads = files.filter(isFile);
    const named = uploads.length === 1 ? { name, contentType } : {};
    const progress = progressOf(files, onProgress);
    const stop = new AbortController();
    const onAbort = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.all(
        files.map(async (file, n) => {
          if (!isFile(file)) return { file_id: file.file_id };
          const { file_id } = await host.upload(file, { ...named, onProgress: progress(n), signal: stop.signal });
          return { file_id };
        }),
      );
    } catch (error) {
      stop.abort(error);
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async function send(message: OutgoingMessage, options: SendOptions = {}): Promise<Message> {
    const { text, attachment, type, data, reply_to, client_message_id = randomId() } = message;
    const given = message.attachments ?? (attachment ? [attachment] : []);
    requireValid(message, given);
    options.signal?.throwIfAborted();
    const isUploading = given.some(isFile);
    const known = isUploading ? [] : given.map((file) => ({ file_id: isFile(file) ? '' : file.file_id }));
    const entry: Entry = {
      shown: {
        client_message_id,
        text: text || null,
        attachment: known[0] ?? null,
        attachments: known,
        type: type ?? null,
        // A copy, because the application may change the object later.
        data: data ? JSON.parse(JSON.stringify(data)) : null,
        reply_to: reply_to ?? null,
        state: isUploading ? 'uploading' : 'queued',
        queued_at: new Date().toISOString(),
      },
    };
    options.onSending?.(entry.shown);
    if (!closed) {
      entries = [...entries, entry];
      changed();
    }
    try {
      if (isUploading) {
        const attachments = await uploadAll(given, options);
        show(entry, { state: 'queued', attachment: attachments[0] ?? null, attachments });
      }
      const { attachments, data: sentData } = entry.shown;
      const frame: MessageFrame = {
        room_id: host.room_id,
        client_message_id,
        ...(text && { text }),
        // Older services accept only one file.
        ...(attachments[0] && (attachments[1] ? { attachments } : { attachment: attachments[0] })),
        ...(type && { type }),
        ...(sentData && { data: sentData }),
        ...(reply_to && { reply_to }),
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
