import {
  type ListedParticipant,
  type LiveRoom,
  MAX_PAGE_SIZE,
  type Message,
  type RoomsClient,
} from '../../../client/src/index.ts';
import { codeOf, sayError, sayFileError } from '../session/errors.ts';
import type { KeyValueStorage } from '../session/storage.ts';
import { createStore, type Store } from '../store.ts';
import { noticeLog } from './notice-log.ts';
import * as change from './state.ts';
import { emptyRoom, type Outgoing, type RoomState, type Standing } from './state.ts';
import { fileIsGone, type WaitingMessages } from './waiting-messages.ts';

const NOT_IN_ROOM = 'You are no longer in this room.';

/** Messages read at a time. */
const PAGE = 50;

/** The open room: what is known of it, and what can be done in it. */
export interface RoomSession {
  readonly roomId: string;
  readonly store: Store<RoomState>;
  /** Messages of others that came in live, for whoever reads the page aloud. */
  readonly onHeard: (listener: (message: Message) => void) => () => void;
  /** True while a message of the user waits to be sent, or is on its way. */
  isBusy(): boolean;
  /** Enters the room, where that has not worked yet. */
  enter(): Promise<void>;
  loadEarlier(): Promise<void>;
  /** Sends a text and files. The first file goes with the text, each other one in a message of its own, and they arrive in this order. */
  send(text: string, files: readonly File[]): void;
  retry(id: string): void;
  /** Takes back a message that is not sent: an upload under way is broken off. */
  discard(id: string): void;
  /** A URL where the file of a message can be had; for what the user has just sent, without asking the service. */
  fileUrl(message: Message): Promise<string>;
  leave(): void;
}

const randomId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

type PeopleChange = (people: readonly ListedParticipant[]) => readonly ListedParticipant[];

export interface RoomSessionOptions {
  readonly client: RoomsClient;
  readonly roomId: string;
  readonly userId: string;
  readonly storage: KeyValueStorage | undefined;
  readonly waiting: WaitingMessages;
  /** Called when nothing is being sent any more. */
  readonly onIdle: () => void;
}

/** Opens a room for a user. It is being entered when this returns; `store` says how far that is. */
export function openRoom({ client, roomId, userId, storage, waiting, onIdle }: RoomSessionOptions): RoomSession {
  const log = noticeLog(storage, userId, roomId);
  const store = createStore<RoomState>({ ...emptyRoom, notices: log.read(), outbox: waiting.read(roomId) });
  const heard = new Set<(message: Message) => void>();
  /** Breaks off what is being sent, by client_message_id. */
  const sending = new Map<string, AbortController>();
  /** Those of them that are still uploading their file. */
  const uploading = new Set<AbortController>();
  const pictures = new Map<string, string>();
  let live: LiveRoom | undefined;
  /** Aborts when the user leaves. */
  const leaving = new AbortController();
  let cursor: string | undefined;
  /** What has happened to the people since their list is being read: one for each reading. */
  const meanwhile = new Set<PeopleChange[]>();

  function update(by: (state: RoomState) => RoomState): void {
    const before = store.get();
    store.update(by);
    const after = store.get();
    if (after.notices !== before.notices) log.write(after.notices);
    if (after.outbox !== before.outbox) waiting.write(roomId, before.outbox, after.outbox);
  }
  const isBusy = (): boolean => sending.size > 0 || store.get().outbox.some(({ failure }) => !failure);
  const changePeople = (by: PeopleChange, at: string): void => {
    for (const changes of meanwhile) changes.push(by);
    update((state) => (state.people ? change.withPeople(state, by(state.people), userId, at) : state));
  };

  async function readPeople(): Promise<void> {
    const since: PeopleChange[] = [];
    meanwhile.add(since);
    try {
      const listed: ListedParticipant[] = [];
      for await (const person of client.allParticipants(roomId, { limit: MAX_PAGE_SIZE })) listed.push(person);
      const people = since.reduce<readonly ListedParticipant[]>((changed, by) => by(changed), listed);
      update((state) => change.withPeople(state, people, userId, new Date().toISOString()));
    } finally {
      meanwhile.delete(since);
    }
  }

  async function readMessages(): Promise<readonly Message[]> {
    update((state) => ({ ...state, earlier: 'loading' }));
    try {
      const page = await client.listMessages(roomId, { limit: PAGE, cursor });
      cursor = page.next_cursor ?? undefined;
      update((state) => ({
        ...change.withMessages(state, page.items, userId),
        earlier: page.next_cursor === null ? 'none' : 'more',
      }));
      return page.items;
    } catch (error) {
      update((state) => ({ ...state, earlier: 'failed' }));
      throw error;
    }
  }

  function listen(room: LiveRoom): void {
    room.on('message', (message) => {
      update((state) => change.withMessages(state, [message], userId));
      if (message.sender_id !== userId) for (const listener of heard) listener(message);
    });
    room.on('peer_joined', ({ participant_id, username }, { sent_at }) =>
      changePeople((people) => change.withPerson(people, { participant_id, username, online: true }), sent_at),
    );
    room.on('peer_left', ({ participant_id }, { sent_at }) =>
      changePeople((people) => change.withAbsent(people, participant_id), sent_at),
    );
    room.on('participant_added', ({ participant_id, username, archive_room }, { sent_at }) =>
      changePeople((people) => change.withPerson(people, { participant_id, username, archive_room }), sent_at),
    );
    room.on('participant_removed', ({ participant_id }, { sent_at }) =>
      changePeople((people) => change.withoutPerson(people, participant_id), sent_at),
    );
    room.on('participant_updated', ({ participant_id, username, archive_room, is_admin }, { sent_at }) => {
      changePeople(
        (people) =>
          // exactOptionalPropertyTypes: what is absent must not be set.
          change.withPerson(people, {
            participant_id,
            ...(username !== undefined && { username }),
            ...(archive_room !== undefined && { archive_room }),
            ...(is_admin !== undefined && { is_admin }),
          }),
        sent_at,
      );
      readInfo(room, sent_at);
    });
    room.on('room_updated', (_, { sent_at }) => readInfo(room, sent_at));
    room.on('room_started', (_, { sent_at }) => readInfo(room, sent_at));
    room.on('room_ended', (_, { sent_at }) => readInfo(room, sent_at));
    room.on('rejoined', () => {
      readInfo(room);
      readPeople().catch(() => {});
    });
    room.on('closed', ({ reason, error }) => {
      if (leaving.signal.aborted) return;
      live = undefined;
      readInfo(room);
      // Of a message that was sent already, the client finds out whether it was stored.
      for (const controller of uploading) controller.abort();
      if (reason === 'room_ended') {
        stand({ is: 'ended' });
        // The last word of the service: the event may have been missed, and the reason with it.
        client
          .getRoom(roomId)
          .then((room) => update((state) => ({ ...state, room })))
          .catch(() => {});
      } else if (reason === 'removed') stand({ is: 'removed' });
      else fail(error ?? new Error('The connection to this room was closed.'));
    });
  }

  /** The room and the user's own right in it, as last heard. */
  const readInfo = (room: LiveRoom, at = new Date().toISOString()): void =>
    update((state) => change.withRoom(state, room.info, at));

  /** Changes how the user stands to the room. Where nothing can be sent any more, what waits says so. */
  function stand(standing: Standing): void {
    const why = standing.is === 'ended' ? 'This room has ended.' : standing.is === 'removed' ? NOT_IN_ROOM : undefined;
    update((state) => ({
      ...state,
      standing,
      outbox: why
        ? state.outbox.map((one) =>
            one.failure || sending.has(one.client_message_id) ? one : { ...one, failure: why },
          )
        : state.outbox,
    }));
  }

  const fail = (error: unknown): void => stand({ is: 'failed', why: sayError(error) });

  async function enter(): Promise<void> {
    const wasOut = store.get().standing.is === 'removed';
    stand({ is: 'joining' });
    try {
      const room = await client.getRoom(roomId);
      update((state) => change.withRoom(state, room, new Date().toISOString()));
      const { earlier, messages } = store.get();
      if (messages.length === 0 && earlier !== 'none') await readMessages();
      if (room.status === 'started') {
        const joined = await client.join(roomId, { known: store.get().messages, signal: leaving.signal });
        if (leaving.signal.aborted) return void joined.leave();
        // It is the same again where only what comes after the join had failed.
        if (joined !== live) listen(joined);
        live = joined;
        readInfo(live);
      }
      await readPeople();
      stand({ is: room.status === 'started' ? 'joined' : room.status });
      if (wasOut) update((state) => change.withNotices(state, [['You were added.']], new Date().toISOString()));
      if (room.status === 'started') sendWaiting();
    } catch (error) {
      if (leaving.signal.aborted) return;
      // Between asking for the room and joining it, its time may have come.
      if (codeOf(error) === 'room_ended') stand({ is: 'ended' });
      else if (codeOf(error) === 'not_a_participant') stand({ is: 'removed' });
      else fail(error);
    }
    if (!isBusy()) onIdle();
  }

  /** Sends what waited while the room was not open: from before a reload, or from before the user left the room's page. */
  function sendWaiting(): void {
    deliverInOrder(
      store.get().outbox.filter(({ failure, client_message_id }) => !failure && !sending.has(client_message_id)),
    );
  }

  /** Uploads the files side by side, and sends each message when the one before has been sent or has failed. */
  function deliverInOrder(all: readonly Outgoing[]): void {
    let before = Promise.resolve();
    for (const outgoing of all) before = deliver(outgoing, before);
  }

  async function deliver(outgoing: Outgoing, before = Promise.resolve()): Promise<void> {
    const id = outgoing.client_message_id;
    const set = (changed: Partial<Outgoing>): void => update((state) => change.changeOutgoing(state, id, changed));
    const controller = new AbortController();
    sending.set(id, controller);
    const { signal } = controller;
    try {
      let { file_id } = outgoing;
      if (outgoing.fileName && !outgoing.file && !file_id) throw new Error(fileIsGone(outgoing.fileName));
      if (outgoing.file && !file_id) {
        uploading.add(controller);
        const onProgress = ({ loaded }: { loaded: number }): void => set({ loaded });
        ({ file_id } = await client.uploadFile(roomId, outgoing.file, { onProgress, signal }));
        if (isPicture(outgoing.file.type)) pictures.set(file_id, URL.createObjectURL(outgoing.file));
        set({ file_id });
        uploading.delete(controller);
      }
      await before;
      if (!live) throw new Error(NOT_IN_ROOM);
      const sent = await live.send(
        {
          client_message_id: id,
          ...(outgoing.text && { text: outgoing.text }),
          ...(file_id && { attachment: { file_id } }),
        },
        { signal },
      );
      update((state) => change.withMessages(state, [sent], userId));
    } catch (error) {
      const why = outgoing.file ? sayFileError(error, outgoing.file) : sayError(error);
      // A page that goes away keeps its messages waiting.
      if (!leaving.signal.aborted) set({ failure: signal.aborted ? NOT_IN_ROOM : why });
    } finally {
      sending.delete(id);
      uploading.delete(controller);
      if (!isBusy()) onIdle();
    }
  }

  void enter();

  return {
    roomId,
    store,
    onHeard(listener) {
      heard.add(listener);
      return () => heard.delete(listener);
    },
    isBusy,
    enter,
    async loadEarlier() {
      if (['more', 'failed'].includes(store.get().earlier)) await readMessages().catch(() => {});
    },
    send(text, files) {
      const [first, ...others] = files;
      const all = [{ text, file: first }, ...others.map((file) => ({ text: '', file }))].map(
        (message): Outgoing => ({
          ...message,
          client_message_id: randomId(),
          fileName: message.file?.name,
          file_id: undefined,
          loaded: 0,
          failure: undefined,
          at: new Date().toISOString(),
        }),
      );
      for (const outgoing of all) update((state) => change.withOutgoing(state, outgoing));
      deliverInOrder(all);
    },
    retry(id) {
      const outgoing = store.get().outbox.find(({ client_message_id }) => client_message_id === id);
      if (!outgoing || sending.has(id)) return;
      update((state) => change.changeOutgoing(state, id, { failure: undefined, loaded: 0 }));
      void deliver(outgoing);
    },
    discard(id) {
      sending.get(id)?.abort();
      update((state) => change.withoutOutgoing(state, id));
    },
    async fileUrl({ attachment, message_id }) {
      const own = attachment && pictures.get(attachment.file_id);
      return own ?? (await client.downloadUrl(roomId, { message_id })).download_url;
    },
    leave() {
      leaving.abort();
      for (const controller of sending.values()) controller.abort();
      for (const url of pictures.values()) URL.revokeObjectURL(url);
      live?.leave().catch(() => {});
    },
  };
}

/** Pictures that every browser shows and that cannot carry a program, as SVG could. */
export const isPicture = (contentType: string): boolean =>
  /^image\/(png|jpeg|gif|webp|avif)$/.test(contentType.split(';')[0]?.trim().toLowerCase() ?? '');
