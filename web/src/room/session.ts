import type { ListedParticipant, LiveRoom, Message, MyRoom, RoomsClient } from '../../../client/src/index.ts';
import { codeOf, sayError, sayFileError } from '../session/errors.ts';
import { createStore, type Store } from '../store.ts';
import { clock } from '../ui/text.ts';
import * as change from './state.ts';
import { emptyRoom, nameOf, type Outgoing, type RoomState } from './state.ts';

/** Messages read at a time. */
const PAGE = 50;

/** The open room: what is known of it, and what can be done in it. */
export interface RoomSession {
  readonly roomId: string;
  readonly store: Store<RoomState>;
  /** Messages of others that came in live, for whoever reads the page aloud. */
  readonly onHeard: (listener: (message: Message) => void) => () => void;
  /** Enters the room, where that has not worked yet. */
  enter(): Promise<void>;
  loadEarlier(): Promise<void>;
  send(text: string, file?: File): void;
  retry(id: string): void;
  /** Takes back a message that is not sent: an upload under way is broken off. */
  discard(id: string): void;
  /** A URL where the file of a message can be had; for what the user has just sent, without asking the service. */
  fileUrl(message: Message): Promise<string>;
  leave(): void;
}

const randomId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** What changed of a room, in sentences. */
function changesOf(before: MyRoom, after: Pick<MyRoom, 'name' | 'description' | 'start_time' | 'end_time'>): string[] {
  const sentences: string[] = [];
  if (after.name !== before.name) sentences.push(`The room is now called “${after.name}”.`);
  if (after.description !== before.description) sentences.push('The description was changed.');
  if (after.end_time !== before.end_time)
    sentences.push(
      after.end_time ? `The room ends at ${clock(after.end_time)}.` : 'The room has no end time any more.',
    );
  return sentences;
}

type Change = (state: RoomState) => RoomState;

/** Opens a room for a user. It is being entered when this returns; `store` says how far that is. */
export function openRoom(client: RoomsClient, roomId: string, userId: string): RoomSession {
  const store = createStore<RoomState>(emptyRoom);
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
  const meanwhile = new Set<Change[]>();

  const { update } = store;
  const notice = (text: string, at = new Date().toISOString()): void =>
    update((state) => change.withNotice(state, text, at));
  const changePeople = (by: Change): void => {
    for (const changes of meanwhile) changes.push(by);
    update(by);
  };
  const name = (id: string): string => (id === userId ? 'You' : nameOf(store.get(), id));

  async function readPeople(): Promise<void> {
    const since: Change[] = [];
    meanwhile.add(since);
    try {
      const people: ListedParticipant[] = [];
      for await (const person of client.allParticipants(roomId, { limit: 200 })) people.push(person);
      update((state) => since.reduce<RoomState>((changed, by) => by(changed), { ...state, people }));
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
    room.on('peer_joined', ({ participant_id, username }) =>
      changePeople((state) => change.withPerson(state, { participant_id, username, online: true })),
    );
    room.on('peer_left', ({ participant_id }) =>
      changePeople((state) =>
        state.people.some((person) => person.participant_id === participant_id)
          ? change.withPerson(state, { participant_id, online: false })
          : state,
      ),
    );
    room.on('participant_added', ({ participant_id, username, archive_room }, { sent_at }) => {
      changePeople((state) => change.withPerson(state, { participant_id, username, archive_room }));
      // Of a room that is new, one may still hear who was in it from the start; they are in the list, or will be.
      const { people } = store.get();
      if (people.length > 0 && !people.some((person) => person.participant_id === participant_id))
        notice(`${name(participant_id)} joined the room’s participants.`, sent_at);
    });
    room.on('participant_removed', ({ participant_id }, { sent_at }) => {
      if (participant_id !== userId) notice(`${name(participant_id)} was removed.`, sent_at);
      changePeople((state) => change.withoutPerson(state, participant_id));
    });
    room.on('participant_updated', (changed, { sent_at }) => {
      const { participant_id, is_admin, username } = changed;
      const before = name(participant_id);
      const verb = participant_id === userId ? 'are' : 'is';
      if (is_admin !== undefined) notice(`${before} ${verb} ${is_admin ? 'now' : 'no longer'} an admin.`, sent_at);
      if (username !== undefined && username !== nameOf(store.get(), participant_id))
        notice(`${before} ${verb} now called ${username ?? participant_id}.`, sent_at);
      // exactOptionalPropertyTypes: what is absent must not be set.
      const { username: newName, archive_room } = changed;
      changePeople((state) =>
        change.withPerson(state, {
          participant_id,
          ...(newName !== undefined && { username: newName }),
          ...(archive_room !== undefined && { archive_room }),
          ...(is_admin !== undefined && { is_admin }),
        }),
      );
      readInfo(room);
    });
    room.on('room_updated', (after, { sent_at }) => {
      const before = store.get().room;
      if (before) for (const sentence of changesOf(before, after)) notice(sentence, sent_at);
      readInfo(room);
    });
    room.on('room_started', () => readInfo(room));
    room.on('room_ended', () => readInfo(room));
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
      const offline = (state: RoomState): RoomState => ({
        ...state,
        people: state.people.map((person) => ({ ...person, online: false })),
      });
      if (reason === 'room_ended') {
        update((state) => ({ ...offline(state), standing: { is: 'ended' } }));
        // The last word of the service: the event may have been missed, and the reason with it.
        client
          .getRoom(roomId)
          .then((room) => update((state) => ({ ...state, room })))
          .catch(() => {});
      } else if (reason === 'removed') update((state) => ({ ...offline(state), standing: { is: 'removed' } }));
      else fail(error ?? new Error('The connection to this room was closed.'));
    });
  }

  /** The room and the user's own right in it, as last heard. */
  const readInfo = (room: LiveRoom): void => update((state) => ({ ...state, room: room.info }));

  const fail = (error: unknown): void =>
    update((state) => ({ ...state, standing: { is: 'failed', why: sayError(error) } }));

  async function enter(): Promise<void> {
    update((state) => ({ ...state, standing: { is: 'joining' } }));
    try {
      const room = await client.getRoom(roomId);
      update((state) => ({ ...state, room }));
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
      update((state) => ({ ...state, standing: { is: room.status === 'started' ? 'joined' : room.status } }));
    } catch (error) {
      if (leaving.signal.aborted) return;
      // Between asking for the room and joining it, its time may have come.
      if (codeOf(error) === 'room_ended') update((state) => ({ ...state, standing: { is: 'ended' } }));
      else if (codeOf(error) === 'not_a_participant') update((state) => ({ ...state, standing: { is: 'removed' } }));
      else fail(error);
    }
  }

  async function deliver(outgoing: Outgoing): Promise<void> {
    const id = outgoing.client_message_id;
    const set = (changed: Partial<Outgoing>): void => update((state) => change.changeOutgoing(state, id, changed));
    const controller = new AbortController();
    sending.set(id, controller);
    const { signal } = controller;
    try {
      let { file_id } = outgoing;
      if (outgoing.file && !file_id) {
        uploading.add(controller);
        const onProgress = ({ loaded }: { loaded: number }): void => set({ loaded });
        ({ file_id } = await client.uploadFile(roomId, outgoing.file, { onProgress, signal }));
        if (isPicture(outgoing.file.type)) pictures.set(file_id, URL.createObjectURL(outgoing.file));
        set({ file_id });
        uploading.delete(controller);
      }
      if (!live) throw new Error('You are no longer in this room.');
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
      set({ failure: signal.aborted ? 'You are no longer in this room.' : why });
    } finally {
      sending.delete(id);
      uploading.delete(controller);
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
    enter,
    async loadEarlier() {
      if (['more', 'failed'].includes(store.get().earlier)) await readMessages().catch(() => {});
    },
    send(text, file) {
      const outgoing: Outgoing = {
        client_message_id: randomId(),
        text,
        file,
        file_id: undefined,
        loaded: 0,
        failure: undefined,
        at: new Date().toISOString(),
      };
      update((state) => change.withOutgoing(state, outgoing));
      void deliver(outgoing);
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
