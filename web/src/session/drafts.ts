import { createStore, type Store } from '../store.ts';
import { isRecord, type KeyValueStorage, newest, readStored, writeStored } from './storage.ts';

/** Rooms whose draft is kept. The oldest draft goes first. */
const MAX_DRAFTS = 50;

/** What a user has written in a room and not sent. */
export interface Draft {
  readonly text: string;
  /** Files to send. Kept while the page is open: browsers do not store them. */
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

/** The drafts of one user, one a room. Texts survive a reload; tabs of the same user share them. */
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
      // Another tab may have written to another room meanwhile.
      const { [roomId]: _, ...others } = readTexts();
      const texts = draft.text.trim() === '' ? others : newest({ ...others, [roomId]: draft.text }, MAX_DRAFTS);
      writeStored(storage, key, Object.keys(texts).length > 0 ? texts : undefined);
      store.update((ids) => (ids.has(roomId) === !isEmpty ? ids : new Set(drafts.keys())));
    },
  };
}
