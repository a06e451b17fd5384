import { isRecord, type KeyValueStorage, newest, readStored, writeStored } from '../session/storage.ts';
import type { Sentence } from './sentences.ts';
import type { Notice } from './state.ts';

/** Maximum number of rooms with stored notices, and of notices per room. The oldest are deleted first. */
const MAX_ROOMS = 50;
const MAX_NOTICES = 50;

export interface NoticeLog {
  read(): readonly Notice[];
  write(notices: readonly Notice[]): void;
}

const isSentence = (value: unknown): value is Sentence =>
  Array.isArray(value) &&
  value.every((part) => typeof part === 'string' || (isRecord(part) && typeof part.name === 'string'));

const isNotice = (value: unknown): value is Notice =>
  isRecord(value) && typeof value.key === 'string' && typeof value.at === 'string' && isSentence(value.sentence);

const isLog = (value: unknown): value is Readonly<Record<string, readonly Notice[]>> =>
  isRecord(value) && Object.values(value).every((notices) => Array.isArray(notices) && notices.every(isNotice));

/** Stores the notices of a room in the browser, because the service does not store them. */
export function noticeLog(storage: KeyValueStorage | undefined, userId: string, roomId: string): NoticeLog {
  const key = `rooms.notices.${userId}`;
  const readAll = (): Readonly<Record<string, readonly Notice[]>> => readStored(storage, key, isLog) ?? {};
  return {
    read: () => readAll()[roomId] ?? [],
    write(notices) {
      const { [roomId]: _, ...others } = readAll();
      writeStored(storage, key, newest({ ...others, [roomId]: notices.slice(-MAX_NOTICES) }, MAX_ROOMS));
    },
  };
}
