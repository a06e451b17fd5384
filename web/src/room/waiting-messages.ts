import { isRecord, type KeyValueStorage, readStored, storedKeys, writeStored } from '../session/storage.ts';
import type { Outgoing, OutgoingFile } from './state.ts';

/**
 * Maximum age of a message that is resent automatically, in milliseconds. The service recognizes a `client_message_id` for 24 hours.
 * After that, a message could be stored twice.
 */
const RESEND_WITHIN_MS = 23 * 3_600_000;

/** The stored properties of a file. The content is not stored. */
type KeptFile = Pick<OutgoingFile, 'name' | 'size' | 'file_id'>;
/** A message as it is stored in the browser. */
type Kept = Omit<Outgoing, 'files'> & { readonly files: readonly KeptFile[] };

/** The messages of one user that are not sent yet, in all rooms. They survive a reload. */
export interface WaitingMessages {
  /** Returns the IDs of the rooms with waiting messages. */
  rooms(): string[];
  read(roomId: string): readonly Outgoing[];
  /** Stores the messages in `after`, and deletes those that are only in `before`. */
  write(roomId: string, before: readonly Outgoing[], after: readonly Outgoing[]): void;
}

const isOptional = (value: unknown): boolean => value === undefined || typeof value === 'string';

const isKeptFile = (value: unknown): value is KeptFile =>
  isRecord(value) && typeof value.name === 'string' && typeof value.size === 'number' && isOptional(value.file_id);

const isKept = (value: unknown): value is Kept =>
  isRecord(value) &&
  ['client_message_id', 'text', 'at'].every((name) => typeof value[name] === 'string') &&
  [value.failure, value.reply_to].every(isOptional) &&
  Array.isArray(value.files) &&
  value.files.every(isKeptFile);

/** Error text for a message whose file was lost by a reload. */
export const fileIsGone = (name: string): string => `Attach the file “${name}” again: the page has been reloaded.`;

/** Returns the first file of a message that a reload has lost. */
export const lostFile = (files: readonly OutgoingFile[]): OutgoingFile | undefined =>
  files.find(({ file, file_id }) => file === undefined && file_id === undefined);

/** Restores a stored message after a reload. */
function restored({ files: kept, failure, ...rest }: Kept, now: number): Outgoing {
  const files = kept.map((file): OutgoingFile => ({ ...file, file_id: file.file_id, file: undefined, loaded: 0 }));
  const lost = lostFile(files);
  const isLate = now - Date.parse(rest.at) >= RESEND_WITHIN_MS;
  const why = lost
    ? fileIsGone(lost.name)
    : isLate
      ? (failure ?? 'The message has waited for more than a day.')
      : failure;
  return { ...rest, files, failure: why };
}

/** Stores one entry per message, so that tabs of the same user do not overwrite each other's messages. */
export function waitingMessages(
  storage: KeyValueStorage | undefined,
  userId: string,
  now: () => number = Date.now,
): WaitingMessages {
  // No user ID contains a slash.
  const prefix = `rooms.waiting/${userId}/`;
  const keyOf = (roomId: string, id: string): string => `${prefix}${roomId}/${id}`;
  /** The messages of this page, including their files. */
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
        const files = outgoing.files.map(({ name, size, file_id }): KeptFile => ({ name, size, file_id }));
        const kept: Kept = { ...outgoing, files };
        const uploaded = ({ files }: Outgoing): string => files.map(({ file_id }) => file_id).join();
        // The progress of an upload is not stored.
        if (!old || uploaded(old) !== uploaded(outgoing) || old.failure !== outgoing.failure)
          writeStored(storage, key, kept);
      }
    },
  };
}
