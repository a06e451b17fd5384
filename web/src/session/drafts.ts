import { createStore, type Store } from '../store.ts';
import { isRecord, type KeyValueStorage, newest, readStored, writeStored } from './storage.ts';

/** Maximum number of stored drafts. The oldest are deleted first. */
const MAX_DRAFTS = 50;

/** An unsent message of a room. */
export interface Draft {
  readonly text: string;
  /** Files to send. They are lost in a reload. */
  readonly files: readonly File[];
}

export interface Drafts {
  /** IDs of the rooms that have a draft. */
  readonly store: Store<ReadonlySet<string>>;
  get(roomId: string): Draft;
  set(roomId: string, draft: Draft): void;
}

const isTexts = (value: unknown): value is Readonly<Record<string, string>> =>
  isRecord(value) && Object.values(value).every((text) => typeof text === 'string');

const NO_DRAFT: Draft = { text: '', files: [] };

/** The drafts of one user, one for each room. Texts survive a reload, and tabs of the same user share them. */
export function createDrafts(storage: KeyValueStorage | undefined, userId: string): Drafts {
  const key = `rooms.drafts.${userId}`;
  const readTexts = (): Readonly<Record<string, string>> => readStored(storage, key, isTexts) ?? {};
  const drafts = new Map<string, Draft>(Object.entries(readTexts()).map(([id, text]) => [id, { text, files: [] }]));
  const store = createStore<ReadonlySet<string>>(new Set(drafts.keys()));

  return {
    store,
    get: (roomId) => drafts.get(roomId) ?? NO_DRAFT,
    set(roomId, draft) {
      const isEmpty = draft.text.trim() === '' && draft.files.length === 0;
      if (isEmpty) drafts.delete(roomId);
      else drafts.set(roomId, draft);
      // Reads the drafts again, because another tab can have changed them.
      const { [roomId]: _, ...others } = readTexts();
      const texts = draft.text.trim() === '' ? others : newest({ ...others, [roomId]: draft.text }, MAX_DRAFTS);
      writeStored(storage, key, Object.keys(texts).length > 0 ? texts : undefined);
      store.update((ids) => (ids.has(roomId) === !isEmpty ? ids : new Set(drafts.keys())));
    },
  };
}
