import { type Connection, openConnection } from './connection.ts';
import type {
  Attachment,
  ChangeRoomBody,
  CreateRoomBody,
  Download,
  EndRoomBody,
  ListedParticipant,
  ListMessagesQuery,
  ListParticipantsQuery,
  ListRoomsQuery,
  Message,
  MyRoom,
  OperationName,
  Operations,
  Participant,
  Profile,
  RemovedParticipant,
  Room,
  UpdateProfileBody,
} from './contract.ts';
import { codeOf, type RoomsErrorCode } from './errors.ts';
import {
  type DownloadedFile,
  download,
  type FileSelector,
  selectorQuery,
  type TransferOptions,
  type UploadOptions,
  upload,
} from './files.ts';
import { type Call, type CallOptions, caller, type Input, type Page, type Tokens, tokens } from './http.ts';
import { tokenFacts } from './jwt.ts';
import { type RoomsClientOptions, type Settings, settingsOf } from './options.ts';
import { randomId } from './random.ts';
import type { JoinOptions, LiveRoom } from './room-types.ts';

/** Which fields of a room to change: only those that are given. */
export type UpdateRoomBody = Omit<ChangeRoomBody, keyof EndRoomBody>;

export interface CreateRoomOptions extends CallOptions {
  /** A name of this one attempt to create a room. Default: one that is made for the call, so that its retries create one room. */
  readonly idempotencyKey?: string | undefined;
}

/** A list's own query without `cursor`, which the iterator keeps. */
type AllQuery<Query> = Omit<Query, 'cursor'> & CallOptions;

async function* all<Item>(first: (cursor: string | undefined) => Promise<Page<Item>>): AsyncGenerator<Item, undefined> {
  let cursor: string | undefined;
  do {
    const page = await first(cursor);
    yield* page.items;
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
}

/**
 * The Rooms service, for one user. Every method throws `RoomsApiError` when it fails, and the signal's reason when it is
 * aborted. Whatever can be tried again has been, so that there is nothing to add around a call.
 */
export class RoomsClient {
  readonly #settings: Settings;
  readonly #token: Tokens;
  readonly #call: Call;
  #connecting: ReturnType<typeof openConnection> | undefined;

  /** Throws a TypeError where an option is not usable. */
  constructor(options: RoomsClientOptions) {
    this.#settings = settingsOf(options);
    this.#token = tokens(this.#settings);
    this.#call = caller(this.#settings, this.#token);
  }

  /* Rooms */

  /** Creates a room; the caller becomes its admin. It starts now unless `start_time` says otherwise. */
  async createRoom(body: CreateRoomBody, { idempotencyKey, signal }: CreateRoomOptions = {}): Promise<Room> {
    const headers = { 'idempotency-key': idempotencyKey ?? randomId() };
    const { data } = await this.#call('createRoom', { body, headers }, { signal });
    return data;
  }

  /** Changes a room. Admins only. Null clears `description` or `end_time`. */
  async updateRoom(roomId: string, body: UpdateRoomBody, options?: CallOptions): Promise<Room> {
    // Without any field, the same request would end the room.
    if (Object.values(body).every((value) => value === undefined))
      throw new TypeError('updateRoom needs at least one of name, description, start_time, end_time');
    return (await this.#call('changeRoom', { params: { room_id: roomId }, body }, options)).data;
  }

  /** Ends a room, at once or in `time_left_in_seconds`. Admins only. */
  async endRoom(roomId: string, body: EndRoomBody = {}, options?: CallOptions): Promise<Room> {
    const input = { params: { room_id: roomId }, body };
    const isDone = (code: RoomsErrorCode | undefined) => code === 'room_ended';
    return this.#once('endRoom', input, isDone, options, () => this.getRoom(roomId, options));
  }

  /**
   * Makes a change that takes away what the caller needs for it, so that the service refuses a repetition. Where `isDone` is true of the
   * refusal of a retry, an earlier attempt has made the change and its answer was lost: the result is `done()`.
   */
  async #once<Name extends OperationName>(
    name: Name,
    input: Input<Name>,
    isDone: (code: RoomsErrorCode | undefined) => boolean | Promise<boolean>,
    options: CallOptions | undefined,
    done: () => Promise<Operations[Name]['data']>,
  ): Promise<Operations[Name]['data']> {
    let attempts = 0;
    try {
      return (await this.#call(name, input, { ...options, onTry: () => attempts++ })).data;
    } catch (error) {
      if (attempts > 1 && (await isDone(codeOf(error)))) return done();
      throw error;
    }
  }

  /** The user, as far as the access token tells; else an empty text. */
  async #userId(): Promise<string> {
    return tokenFacts(await this.#token(false)).userId ?? '';
  }

  /** A page of the rooms that the user was added to, newest first. `status` filters a page, which may be short then. */
  async listRooms({ signal, ...query }: ListRoomsQuery & CallOptions = {}): Promise<Page<MyRoom>> {
    const { data, next_cursor } = await this.#call('listRooms', { query }, { signal });
    return { items: data, next_cursor };
  }

  /** All rooms that the user was added to, newest first, page by page as they are taken. */
  allRooms(query: AllQuery<ListRoomsQuery> = {}): AsyncGenerator<MyRoom, undefined> {
    return all((cursor) => this.listRooms({ ...query, cursor }));
  }

  /** A room with its status at this moment, and the user's own profile and right in it. */
  async getRoom(roomId: string, options?: CallOptions): Promise<MyRoom> {
    return (await this.#call('getRoom', { params: { room_id: roomId } }, options)).data;
  }

  /* Participants */

  /** Adds up to 50 users. Admins only. One who is in the room already stays as they are. */
  async addParticipants(
    roomId: string,
    participantIds: readonly string[],
    options?: CallOptions,
  ): Promise<readonly Participant[]> {
    const input = { params: { room_id: roomId }, body: { participant_ids: participantIds } };
    return (await this.#call('addParticipants', input, options)).data;
  }

  /** Removes up to 50 users, and their admin rights with them. Admins only. */
  async removeParticipants(
    roomId: string,
    participantIds: readonly string[],
    options?: CallOptions,
  ): Promise<readonly RemovedParticipant[]> {
    const input = { params: { room_id: roomId }, body: { participant_ids: participantIds } };
    const isDone = async (code: RoomsErrorCode | undefined) =>
      code === 'not_a_participant' && participantIds.includes(await this.#userId());
    return this.#once('removeParticipants', input, isDone, options, async () =>
      participantIds.map((participant_id) => ({ participant_id })),
    );
  }

  /** Makes a participant an admin. Admins only. */
  async grantAdmin(roomId: string, participantId: string, options?: CallOptions): Promise<Participant> {
    const params = { room_id: roomId, participant_id: participantId };
    return (await this.#call('grantAdmin', { params }, options)).data;
  }

  /** Takes the admin right from a participant. Admins only. A room keeps at least one: `last_admin`. */
  async revokeAdmin(roomId: string, participantId: string, options?: CallOptions): Promise<Participant> {
    const params = { room_id: roomId, participant_id: participantId };
    const isDone = async (code: RoomsErrorCode | undefined) =>
      code === 'not_an_admin' && participantId === (await this.#userId());
    return this.#once('revokeAdmin', { params }, isDone, options, async () => {
      const { username, archive_room, role } = await this.getRoom(roomId, options);
      return { participant_id: participantId, username, archive_room, role, is_admin: false };
    });
  }

  /** A page of the participants of a room, each with profile, right and presence. */
  async listParticipants(
    roomId: string,
    { signal, ...query }: ListParticipantsQuery & CallOptions = {},
  ): Promise<Page<ListedParticipant>> {
    const input = { params: { room_id: roomId }, query };
    const { data, next_cursor } = await this.#call('listParticipants', input, { signal });
    return { items: data, next_cursor };
  }

  /** All participants of a room, page by page as they are taken. */
  allParticipants(
    roomId: string,
    query: AllQuery<ListParticipantsQuery> = {},
  ): AsyncGenerator<ListedParticipant, undefined> {
    return all((cursor) => this.listParticipants(roomId, { ...query, cursor }));
  }

  /** Sets the user's own name in a room, and whether their front end hides it. */
  async updateProfile(roomId: string, body: UpdateProfileBody, options?: CallOptions): Promise<Profile> {
    return (await this.#call('updateProfile', { params: { room_id: roomId }, body }, options)).data;
  }

  /* Chat */

  /** A page of the chat of a room, newest first unless `order` is `asc`. */
  async listMessages(
    roomId: string,
    { signal, ...query }: ListMessagesQuery & CallOptions = {},
  ): Promise<Page<Message>> {
    const { data, next_cursor } = await this.#call('listMessages', { params: { room_id: roomId }, query }, { signal });
    return { items: data, next_cursor };
  }

  /** All messages of a room, newest first unless `order` is `asc`, page by page as they are taken. */
  allMessages(roomId: string, query: AllQuery<ListMessagesQuery> = {}): AsyncGenerator<Message, undefined> {
    return all((cursor) => this.listMessages(roomId, { ...query, cursor }));
  }

  /* Files */

  /** Uploads a file to a room. Send its `file_id` with a message, so that others can download it. */
  uploadFile(roomId: string, file: Blob | Uint8Array<ArrayBuffer>, options: UploadOptions = {}): Promise<Attachment> {
    return upload(this.#call, this.#settings, roomId, file, options);
  }

  /** Downloads a file as a whole. For one that is to be shown or saved by the browser, `downloadUrl` is enough. */
  downloadFile(roomId: string, file: FileSelector, options: TransferOptions = {}): Promise<DownloadedFile> {
    return download(this.#call, this.#settings, roomId, file, options);
  }

  /** A URL that the file can be downloaded from, by anyone who has it, for 15 minutes. */
  async downloadUrl(roomId: string, file: FileSelector, options?: CallOptions): Promise<Download> {
    const input = { params: { room_id: roomId }, query: selectorQuery(file) };
    return (await this.#call('createDownload', input, options)).data;
  }

  /* Real time */

  /** Opens the connection; while one is open, that one. It comes back by itself after outages, until it is closed. */
  async connect({ signal }: CallOptions = {}): Promise<Connection> {
    signal?.throwIfAborted();
    if (!this.#connecting || this.#connecting.connection.state === 'closed') {
      const host = {
        settings: this.#settings,
        token: this.#token,
        readHistory: (roomId: string, limit: number, cursor: string | undefined) =>
          this.listMessages(roomId, { limit, cursor, order: 'desc' }),
        readRoom: this.getRoom.bind(this),
        upload: this.uploadFile.bind(this),
      };
      this.#connecting = openConnection(host);
    }
    return this.#connecting.opened(signal);
  }

  /** Joins a room, and connects first where that is needed. */
  async join(roomId: string, options: JoinOptions = {}): Promise<LiveRoom> {
    const connection = await this.connect({ signal: options.signal });
    return connection.join(roomId, options);
  }
}
