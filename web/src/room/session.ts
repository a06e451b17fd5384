import type { Attachment, LiveRoom, Message, RoomsClient } from '../../../client/src/index.ts';
import { hubOf } from '../../../client/src/react/index.ts';
import { codeOf, sayError, sayFileError } from '../session/errors.ts';
import type { KeyValueStorage } from '../session/storage.ts';
import { createStore, type Store } from '../store.ts';
import { noticeLog } from './notice-log.ts';
import * as change from './state.ts';
import { emptyRoom, type Outgoing, type OutgoingFile, type RoomState, type Standing } from './state.ts';
import { fileIsGone, lostFile, type WaitingMessages } from './waiting-messages.ts';

const NOT_IN_ROOM = 'You are no longer in this room.';

/** An open room: its state and its actions. */
export interface RoomSession {
  readonly roomId: string;
  readonly store: Store<RoomState>;
  /** Subscribes to live messages of others, for screen readers. */
  readonly onHeard: (listener: (message: Message) => void) => () => void;
  /** Whether a message of the user is waiting or being sent. */
  isBusy(): boolean;
  /** Joins the room again after a failure. */
  enter(): void;
  loadEarlier(): Promise<void>;
  /** Sends a text and files in one message, as a reply if the user has chosen one. */
  send(text: string, files: readonly File[]): void;
  /** The message that the user replies to. */
  readonly reply: Store<Message | undefined>;
  /** Changes the text of an own message. */
  edit(message: Message, text: string): Promise<unknown>;
  /** Deletes an own message. Admins can delete any message. */
  remove(message: Message): Promise<unknown>;
  /** Shows others that the user is typing. */
  setTyping(typing: boolean): void;
  retry(id: string): void;
  /** Discards a message that is not sent, and aborts its uploads. */
  discard(id: string): void;
  /** Returns a URL of a file. For a picture that the user has just sent, it is a local URL without a request. */
  fileUrl(file: Pick<Attachment, 'file_id'>): Promise<string>;
  leave(): void;
}

const randomId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

export interface RoomSessionOptions {
  readonly client: RoomsClient;
  readonly roomId: string;
  readonly userId: string;
  readonly storage: KeyValueStorage | undefined;
  readonly waiting: WaitingMessages;
  /** Called when nothing is being sent. */
  readonly onIdle: () => void;
}

/** Opens a room for a user, and starts to join it. `store` contains the progress. */
export function openRoom({ client, roomId, userId, storage, waiting, onIdle }: RoomSessionOptions): RoomSession {
  const log = noticeLog(storage, userId, roomId);
  const store = createStore<RoomState>({ ...emptyRoom, notices: log.read(), outbox: waiting.read(roomId) });
  const reply = createStore<Message | undefined>(undefined);
  const heard = new Set<(message: Message) => void>();
  /** Controllers that abort messages in progress, by client_message_id. */
  const sending = new Map<string, AbortController>();
  /** The controllers of messages whose files are still being uploaded. */
  const uploading = new Set<AbortController>();
  const pictures = new Map<string, string>();
  const stores = hubOf(client).room(roomId);
  const messageList = stores.messages(undefined);
  let live: LiveRoom | undefined;
  let stopHearing = (): void => {};
  /** The client_message_id of each stored message. */
  const acknowledged = new Set<string>();
  let lastStatus: string = 'joining';
  let wasOut = false;
  /** Aborts when the user leaves. */
  const leaving = new AbortController();

  function update(by: (state: RoomState) => RoomState): void {
    const before = store.get();
    store.update(by);
    const after = store.get();
    if (after.notices !== before.notices) log.write(after.notices);
    if (after.outbox !== before.outbox) waiting.write(roomId, before.outbox, after.outbox);
  }
  const isBusy = (): boolean => sending.size > 0 || store.get().outbox.some(({ failure }) => !failure);
  /** Copies the messages from the room's stores to the state. */
  function onMessages(): void {
    const { messages, earlier } = messageList.state;
    if (messages === store.get().messages && earlier === store.get().earlier) return;
    const wasBusy = isBusy();
    update((state) => change.withMessages({ ...state, earlier }, messages, userId));
    if (wasBusy && !isBusy()) onIdle();
  }

  function onPeople(): void {
    const { participants, status } = stores.participants.state;
    if (status === 'ready' && participants !== store.get().people)
      update((state) => change.withPeople(state, participants, userId, new Date().toISOString()));
    onRoom();
  }

  function onRoom(): void {
    const { room, status, error, live: joined } = stores.room.state;
    if (room && room !== store.get().room) update((state) => change.withRoom(state, room, new Date().toISOString()));
    if (status === 'joined' && joined !== live) {
      live = joined;
      stopHearing();
      stopHearing =
        live?.on('message', (message) => {
          if (message.sender_id !== userId) for (const listener of heard) listener(message);
        }) ?? stopHearing;
    }
    if (status !== 'joined') live = undefined;
    // A room counts as joined only when its participants are known.
    const people = stores.participants.state.status;
    const next = status !== 'joined' || people === 'ready' ? status : people === 'failed' ? 'failed' : 'joining';
    if (next === lastStatus) return;
    const before = lastStatus;
    lastStatus = next;
    if (before === 'joined') for (const controller of uploading) controller.abort();
    if (next === 'removed' && codeOf(error) === 'room_not_found') fail(error);
    else if (next === 'removed' || next === 'left') stand({ is: 'removed' });
    else if (next === 'failed') fail(error ?? new Error('The participants could not be read.'));
    else stand({ is: next });
    if (next === 'joined') {
      if (wasOut) update((state) => change.withNotices(state, [['You were added.']], new Date().toISOString()));
      wasOut = false;
      sendWaiting();
    }
    if (next === 'removed') wasOut = true;
    if (next !== 'joining' && !isBusy()) onIdle();
  }

  /** Sets the relation of the user to the room. If messages can no longer be sent, marks waiting messages as failed. */
  function stand(standing: Standing): void {
    const why = standing.is === 'ended' ? 'This room has ended.' : standing.is === 'removed' ? NOT_IN_ROOM : undefined;
    update((state) => ({
      ...state,
      standing,
      outbox: why
        ? state.outbox
            .filter(({ client_message_id }) => !acknowledged.has(client_message_id))
            .map((one) => (one.failure || sending.has(one.client_message_id) ? one : { ...one, failure: why }))
        : state.outbox,
    }));
  }

  const fail = (error: unknown): void => stand({ is: 'failed', why: sayError(error) });

  /** Sends messages that waited while the room was not open, for example during a reload. */
  function sendWaiting(): void {
    deliverInOrder(
      store.get().outbox.filter(({ failure, client_message_id }) => !failure && !sending.has(client_message_id)),
    );
  }

  /** Sends each message after the previous one was sent or has failed. Uploads all files in parallel. */
  function deliverInOrder(all: readonly Outgoing[]): void {
    let before = Promise.resolve();
    for (const outgoing of all) before = deliver(outgoing, before);
  }

  /** Uploads the files of a message in parallel, except those that are already uploaded. If an upload fails, aborts the others. */
  async function uploadFiles(
    { client_message_id: id, files }: Outgoing,
    controller: AbortController,
  ): Promise<readonly { readonly file_id: string }[]> {
    const failed = new AbortController();
    const signal = AbortSignal.any([controller.signal, failed.signal]);
    if (lostFile(files) === undefined && files.some(({ file_id }) => file_id === undefined)) uploading.add(controller);
    const upload = async ({ file, file_id }: OutgoingFile, at: number): Promise<{ readonly file_id: string }> => {
      if (file_id !== undefined || !file) return { file_id: file_id ?? '' };
      const set = (changed: Partial<OutgoingFile>): void =>
        update((state) => change.changeFile(state, id, at, changed));
      const onProgress = ({ loaded }: { loaded: number }): void => set({ loaded });
      const uploaded = await client.uploadFile(roomId, file, { onProgress, signal });
      if (isPicture(file.type)) pictures.set(uploaded.file_id, URL.createObjectURL(file));
      set({ file_id: uploaded.file_id });
      return uploaded;
    };
    try {
      const uploads = await Promise.all(files.map(upload));
      return uploads.map(({ file_id }) => ({ file_id }));
    } catch (error) {
      failed.abort();
      throw error;
    } finally {
      uploading.delete(controller);
    }
  }

  async function deliver(outgoing: Outgoing, before = Promise.resolve()): Promise<void> {
    const id = outgoing.client_message_id;
    const set = (changed: Partial<Outgoing>): void => update((state) => change.changeOutgoing(state, id, changed));
    const controller = new AbortController();
    sending.set(id, controller);
    const { signal } = controller;
    try {
      const lost = lostFile(outgoing.files);
      if (lost) throw new Error(fileIsGone(lost.name));
      const attachments = await uploadFiles(outgoing, controller);
      await before;
      if (!live) throw new Error(NOT_IN_ROOM);
      await live.send(
        {
          client_message_id: id,
          ...(outgoing.text && { text: outgoing.text }),
          ...(attachments.length > 0 && { attachments }),
          ...(outgoing.reply_to && { reply_to: outgoing.reply_to }),
        },
        { signal },
      );
      // The message is removed from the outbox when it is delivered.
      acknowledged.add(id);
    } catch (error) {
      const [file, ...others] = outgoing.files.flatMap((one) => one.file ?? []);
      const why = file && others.length === 0 ? sayFileError(error, file) : sayError(error);
      // If the page is closed, the message keeps waiting.
      if (!leaving.signal.aborted) set({ failure: signal.aborted ? NOT_IN_ROOM : why });
    } finally {
      sending.delete(id);
      uploading.delete(controller);
      if (!isBusy()) onIdle();
    }
  }

  const stops = [
    stores.room.subscribe(onRoom),
    messageList.subscribe(onMessages),
    stores.participants.subscribe(onPeople),
  ];
  onMessages();
  onPeople();

  return {
    roomId,
    store,
    onHeard(listener) {
      heard.add(listener);
      return () => heard.delete(listener);
    },
    isBusy,
    enter() {
      if (stores.participants.state.status === 'failed') stores.participants.refresh();
      stores.room.retry();
    },
    loadEarlier: messageList.loadEarlier,
    send(text, files) {
      const outgoing: Outgoing = {
        client_message_id: randomId(),
        text,
        files: files.map((file) => ({ name: file.name, size: file.size, file, file_id: undefined, loaded: 0 })),
        failure: undefined,
        reply_to: reply.get()?.message_id,
        at: new Date().toISOString(),
      };
      reply.update(() => undefined);
      update((state) => change.withOutgoing(state, outgoing));
      void deliver(outgoing);
    },
    retry(id) {
      const outgoing = store.get().outbox.find(({ client_message_id }) => client_message_id === id);
      if (!outgoing || sending.has(id)) return;
      update((state) => change.changeOutgoing(state, id, { failure: undefined }));
      void deliver(outgoing);
    },
    discard(id) {
      sending.get(id)?.abort();
      update((state) => change.withoutOutgoing(state, id));
    },
    async fileUrl({ file_id }) {
      return pictures.get(file_id) ?? (await client.downloadUrl(roomId, { file_id })).download_url;
    },
    reply,
    edit: ({ message_id }, text) => messageList.edit(message_id, text),
    remove: ({ message_id }) => messageList.remove(message_id),
    setTyping: stores.room.setTyping,
    leave() {
      leaving.abort();
      for (const controller of sending.values()) controller.abort();
      for (const url of pictures.values()) URL.revokeObjectURL(url);
      stopHearing();
      for (const stop of stops) stop();
    },
  };
}

/** Whether a file is a picture that every browser can show. Excludes SVG, because it can contain scripts. */
export const isPicture = (contentType: string): boolean =>
  /^image\/(png|jpeg|gif|webp|avif)$/.test(contentType.split(';')[0]?.trim().toLowerCase() ?? '');
