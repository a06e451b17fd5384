import type { RoomsClient } from './client.ts';
import type { ListedParticipant, Message } from './contract.ts';
import { isRetryable } from './errors.ts';
import { byId } from './message-dedup.ts';
import type { LiveRoom, PendingMessage } from './room-types.ts';
import { backoff, sleep } from './timing.ts';

/*
 * Lists of a joined room that stay up to date, for user interfaces. Optional: bundlers omit this file if nothing
 * imports it.
 */

/** The parts of a room that a live list uses. */
export type ListedRoom = Pick<LiveRoom, 'id' | 'on' | 'pending'>;

/** An observable value. `state` is a new object after each change. */
export interface LiveState<State> {
  readonly state: State;
  /** Calls `listener` after changes, once for simultaneous ones. Returns a function that removes the listener. */
  subscribe(listener: (state: State) => void): () => void;
  /** Ends the updates. */
  close(): void;
}

interface Store<State> extends LiveState<State> {
  set(change: Partial<State>): void;
  /** True after `close`. */
  onClose(stop: () => void): void;
}

function store<State extends object>(initial: State): Store<State> {
  const listeners = new Set<(state: State) => void>();
  const stops: (() => void)[] = [];
  let state = initial;
  let isDue = false;
  const notify = () => {
    isDue = false;
    for (const listener of [...listeners]) listener(state);
  };
  return {
    get state() {
      return state;
    },
    set(change) {
      state = { ...state, ...change };
      if (!isDue) queueMicrotask(notify);
      isDue = true;
    },
    subscribe(listener) {
      // The same function may be added twice.
      const own = (next: State) => listener(next);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    onClose: (stop) => void stops.push(stop),
    close() {
      for (const stop of stops.splice(0)) stop();
      listeners.clear();
    },
  };
}

export interface MessageListState {
  /** In the order of their ids, without gaps. */
  readonly messages: readonly Message[];
  /** Own messages that are being sent, in order. Show them after `messages`. */
  readonly pending: readonly PendingMessage[];
  /** The state of the messages before the first one. `failed`: call `loadEarlier` to try again. */
  readonly earlier: 'loading' | 'more' | 'none' | 'failed';
}

export interface LiveMessages extends LiveState<MessageListState> {
  /** Reads the page before the first message. Never rejects: see `earlier`. */
  loadEarlier(): Promise<void>;
}

const numberOf = ({ change }: Message): number => change ?? 0;

/**
 * Returns messages in the order of their IDs, which is the order of history, with further messages inserted, without
 * duplicates.
 *
 * @param sorted messages in this order. The array is not changed
 */
export function insertMessages(sorted: readonly Message[], added: readonly Message[]): readonly Message[] {
  const last = sorted.at(-1);
  const [first] = added;
  if (added.length === 1 && first && (!last || first.message_id > last.message_id)) return [...sorted, first];
  const all = new Map(sorted.map((message) => [message.message_id, message]));
  for (const message of added) {
    const known = all.get(message.message_id);
    // Keeps the version with the later edit or deletion.
    if (!known || numberOf(message) >= numberOf(known)) all.set(message.message_id, message);
  }
  return [...all.values()].sort(byId);
}

const includes = (messages: readonly Message[], { message_id }: Message): boolean =>
  messages.some((message) => message.message_id === message_id);

/**
 * Returns messages in which an edited or deleted message replaces its earlier version. If it is not among them, returns
 * the same array.
 *
 * @param messages the array is not changed
 */
export const replaceMessage = (messages: readonly Message[], changed: Message): readonly Message[] =>
  includes(messages, changed)
    ? messages.map((message) => (message.message_id === changed.message_id ? changed : message))
    : messages;

/**
 * Returns the messages of a joined room: the newest page, earlier pages on request, and all new, edited and deleted
 * messages, also after outages.
 *
 * @param pageSize messages per page. Default: 50, at most 200
 */
export function liveMessages(
  rooms: Pick<RoomsClient, 'listMessages'>,
  room: ListedRoom,
  { pageSize = 50 }: { readonly pageSize?: number } = {},
): LiveMessages {
  const list = store<MessageListState>({ messages: [], pending: room.pending, earlier: 'more' });
  const closing = new AbortController();
  let cursor: string | undefined;
  let loading: Promise<void> | undefined;
  /**
   * Edited and deleted messages that are not in the list. A page that is being read may contain earlier versions of
   * them.
   */
  let changed: Message[] = [];

  const add = (messages: readonly Message[]) => list.set({ messages: insertMessages(list.state.messages, messages) });
  const change = (message: Message) => {
    const messages = replaceMessage(list.state.messages, message);
    if (messages !== list.state.messages) list.set({ messages });
    else if (loading) changed.push(message);
  };
  list.onClose(room.on('message', (message) => add([message])));
  list.onClose(room.on('message_updated', change));
  list.onClose(room.on('message_deleted', change));
  list.onClose(room.on('pending', (pending) => list.set({ pending })));
  list.onClose(() => closing.abort());

  async function load(): Promise<void> {
    list.set({ earlier: 'loading' });
    try {
      const page = await rooms.listMessages(room.id, { limit: pageSize, cursor, signal: closing.signal });
      cursor = page.next_cursor ?? undefined;
      add([...page.items, ...changed.filter((message) => includes(page.items, message))]);
      list.set({ earlier: cursor ? 'more' : 'none' });
    } catch {
      list.set({ earlier: 'failed' });
    }
  }

  function loadEarlier(): Promise<void> {
    if (list.state.earlier === 'none') return Promise.resolve();
    loading ??= load().finally(() => {
      loading = undefined;
      changed = [];
    });
    return loading;
  }

  void loadEarlier();
  return Object.assign(list, { loadEarlier });
}

export interface ParticipantListState {
  /**
   * In the order of their IDs. After the room is closed, nobody is online. With more than 1,000 users online, only
   * `onlineCount` is kept up to date.
   */
  readonly participants: readonly ListedParticipant[];
  /** The number of participants who are online. */
  readonly onlineCount: number;
  /** `loading` until the list was read once. `failed` if the service rejects the request. */
  readonly status: 'loading' | 'ready' | 'failed';
}

export interface LiveParticipants extends LiveState<ParticipantListState> {
  /**
   * Reads the list again. No event reports changes of others' `read_to`: call this if you show who has read a message.
   */
  refresh(): void;
}

type People = ReadonlyMap<string, ListedParticipant>;
type Change = (people: People) => People;

const RETRY_INITIAL_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** The maximum time before an incomplete list is read again. */
const NAMES_AGAIN_MS = 5_000;

/** Returns the participants of a joined room with their presence. The list is read again after an outage. */
export function liveParticipants(rooms: Pick<RoomsClient, 'allParticipants'>, room: ListedRoom): LiveParticipants {
  const list = store<ParticipantListState>({ participants: [], onlineCount: 0, status: 'loading' });
  let people: People = new Map();
  /** Aborts the current read. */
  let reading = new AbortController();
  /** The last online count from the service. Undefined while the service reports every change by name. */
  let counted: number | undefined;
  /** Changes since the current read of the list started. */
  let since: Change[] = [];

  function show(): void {
    const sorted = [...people.values()].sort((a, b) => (a.participant_id < b.participant_id ? -1 : 1));
    list.set({ participants: sorted, onlineCount: counted ?? sorted.filter(({ online }) => online).length });
  }

  function change(by: Change): void {
    since.push(by);
    people = by(people);
    show();
  }

  const set =
    (person: Partial<ListedParticipant> & Pick<ListedParticipant, 'participant_id'>, add = true): Change =>
    (before) => {
      const known = before.get(person.participant_id);
      if (!known && !add) return before;
      const unknown = {
        username: null,
        archive_room: false,
        role: 'member',
        is_admin: false,
        online: false,
        read_to: null,
      } as const;
      return new Map(before).set(person.participant_id, { ...unknown, ...known, ...person });
    };

  const without =
    (id: string): Change =>
    (before) =>
      new Map([...before].filter(([other]) => other !== id));

  async function read(signal: AbortSignal): Promise<void> {
    for (let tried = 0; ; tried++) {
      since = [];
      try {
        const found = new Map<string, ListedParticipant>();
        for await (const person of rooms.allParticipants(room.id, { limit: 200, signal }))
          found.set(person.participant_id, person);
        if (signal.aborted) return;
        people = since.reduce<People>((all, by) => by(all), found);
        since = [];
        counted = undefined;
        isStale = false;
        list.set({ status: 'ready' });
        return show();
      } catch (error) {
        if (signal.aborted) return;
        if (!isRetryable(error)) return list.set({ status: 'failed' });
        await sleep(backoff(tried, RETRY_INITIAL_MS, RETRY_MAX_MS), signal).catch(() => {});
      }
    }
  }

  function readAgain(): void {
    reading.abort();
    reading = new AbortController();
    void read(reading.signal);
  }

  list.onClose(() => reading.abort());
  type Peer = Pick<ListedParticipant, 'participant_id' | 'username'>;
  const come = (peer: Peer) => change(set({ ...peer, online: true }));
  const go = ({ participant_id }: Peer) => change(set({ participant_id, online: false }, false));
  list.onClose(room.on('missed', readAgain));
  /** Whether some users joined or left without being named. */
  let isStale = false;
  /**
   * The service names participants again. Those whom it did not name are read after a random delay, so that not all
   * clients read at once.
   */
  function namesAgain(): void {
    if (!isStale) return;
    isStale = false;
    const { signal } = reading;
    sleep(Math.random() * NAMES_AGAIN_MS, signal).then(readAgain, () => {});
  }
  const named = (by: (peer: Peer) => void) => (peer: Peer) => {
    counted = undefined;
    by(peer);
    namesAgain();
  };
  list.onClose(room.on('peer_joined', named(come)));
  list.onClose(room.on('peer_left', named(go)));
  list.onClose(
    room.on('presence', ({ count, joined, left }) => {
      joined?.forEach(come);
      left?.forEach(go);
      counted = count;
      show();
      if (joined || left) namesAgain();
      else isStale = true;
    }),
  );
  list.onClose(room.on('participant_added', (profile) => change(set(profile))));
  list.onClose(room.on('read', (mark) => change(set(mark, false))));
  list.onClose(room.on('participant_removed', ({ participant_id }) => change(without(participant_id))));
  list.onClose(
    room.on('participant_updated', ({ participant_id, username, archive_room, is_admin, role }) =>
      change(
        set({
          participant_id,
          ...(username !== undefined && { username }),
          ...(archive_room !== undefined && { archive_room }),
          ...(is_admin !== undefined && { is_admin }),
          ...(role !== undefined && { role }),
        }),
      ),
    ),
  );
  list.onClose(
    room.on('closed', () => {
      counted = undefined;
      change((before) => new Map([...before].map(([id, person]) => [id, { ...person, online: false }])));
    }),
  );
  readAgain();
  return Object.assign(list, { refresh: readAgain });
}
