import { isRecord, type KeyValueStorage, readStored, storedKeys, writeStored } from '../session/storage.ts';
import type { Outgoing } from './state.ts';

/**
 * How long a message may wait and still be sent without asking, in milliseconds. The service knows a `client_message_id` again for
 * 24 hours; later, a message that was stored before could be stored twice.
 */
const RESEND_WITHIN_MS = 23 * 3_600_000;

/** What is kept of a message: all but its file, which browsers do not store. */
type Kept = Omit<Outgoing, 'file' | 'loaded'>;

/** The messages of one user that the service has not stored yet, in every room. They survive a reload. */
export interface WaitingMessages {
  /** IDs of the rooms in which messages wait to be sent. */
  rooms(): string[];
  read(roomId: string): readonly Outgoing[];
  /** Keeps what is in `after`, and forgets what was in `before` only. */
  write(roomId: string, before: readonly Outgoing[], after: readonly Outgoing[]): void;
}

const isKept = (value: unknown): value is Kept =>
  isRecord(value) &&
  ['client_message_id', 'text', 'at'].every((name) => typeof value[name] === 'string') &&
  ['fileName', 'file_id', 'failure', 'reply_to'].every(
    (name) => value[name] === undefined || typeof value[name] === 'string',
  );

/** Why a message whose file was not uploaded before a reload cannot be sent. */
export const fileIsGone = (name: string): string => `Attach the file “${name}” again: the page has been reloaded.`;

/** A message as it is after a reload, from what was kept of it. */
function restored({ client_message_id, text, at, fileName, file_id, failure, reply_to }: Kept, now: number): Outgoing {
  const why =
    fileName !== undefined && file_id === undefined
      ? fileIsGone(fileName)
      : now - Date.parse(at) < RESEND_WITHIN_MS
        ? failure
        : (failure ?? 'It has waited for more than a day.');
  return { client_message_id, text, at, file: undefined, fileName, file_id, loaded: 0, failure: why, reply_to };
}

/** One entry a message, so that tabs of the same user do not overwrite each other's. */
export function waitingMessages(
  storage: KeyValueStorage | undefined,
  userId: string,
  now: () => number = Date.now,
): WaitingMessages {
  // No user ID contains a slash.
  const prefix = `rooms.waiting/${userId}/`;
  const keyOf = (roomId: string, id: string): string => `${prefix}${roomId}/${id}`;
  /** What this page knows, files included. */
  const known = new Map<string, Outgoing>();

  const read = (roomId: string): readonly Outgoing[] =>
    storedKeys(storage, `${prefix}${roomId}/`)
      .flatMap((key) => {
        const kept = readStored(storage, key, isKept);
        return kept ? [known.get(key) ?? restored(kept, now())] : [];
      })
      .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));

  return {
    rooms() {
      const ids = storedKeys(storage, prefix).map((key) => key.slice(prefix.length).split('/')[0] ?? '');
      return [...new Set(ids)].filter((roomId) => read(roomId).some(({ failure }) => !failure));
    },
    read,
    write(roomId, before, after) {
      const left = new Set(after.map(({ client_message_id }) => client_message_id));
      for (const { client_message_id: id } of before) {
        if (left.has(id)) continue;
        known.delete(keyOf(roomId, id));
        writeStored(storage, keyOf(roomId, id), undefined);
      }
      for (const outgoing of after) {
        const key = keyOf(roomId, outgoing.client_message_id);
        const old = known.get(key);
        known.set(key, outgoing);
        const { file: _, loaded, ...kept } = outgoing;
        // The progress of an upload is nothing to keep.
        if (!old || old.file_id !== outgoing.file_id || old.failure !== outgoing.failure)
          writeStored(storage, key, kept);
      }
    },
  };
}
