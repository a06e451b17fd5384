import { type Connection, openConnection } from './connection.ts';
import type {
  Attachment,
  Download,
  EndRoomBody,
  ListedParticipant,
  ListMessageChangesQuery,
  ListMessagesQuery,
  ListParticipantsQuery,
  ListRoomsQuery,
  Message,
  MyRoom,
  OperationName,
  Operations,
  Participant,
  Profile,
  ReadMark,
  RemovedParticipant,
  Role,
  Room,
  RoomDetails,
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

export type CreateRoomBody = Operations['createRoom']['body'];

/** The fields of a room to change. Omitted fields keep their values. */
export type UpdateRoomBody = Omit<Operations['changeRoom']['body'], keyof EndRoomBody>;

export interface AddParticipantsOptions extends CallOptions {
  /** Role of the added participants. Default: `member`. */
  readonly role?: Role | undefined;
}

export interface CreateRoomOptions extends CallOptions {
  /** Identifies one attempt to create a room. Default: generated for each call, so that its retries create one room. */
  readonly idempotencyKey?: string | undefined;
}

/** The query of a list without `cursor`, which the iterator manages. */
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
 * The Rooms service, for one user. Every method throws `RoomsApiError` on failure, or the signal's reason when aborted.
 * Temporary failures are retried automatically, so callers need not retry.
 */
export class RoomsClient {
  readonly #settings: Settings;
  readonly #token: Tokens;
  readonly #call: Call;
  #connecting: ReturnType<typeof openConnection> | undefined;

  /** Throws a TypeError for an invalid option. */
  constructor(options: RoomsClientOptions) {
    this.#settings = settingsOf(options);
    this.#token = tokens(this.#settings);
    this.#call = caller(this.#settings, this.#token);
  }

  /* Rooms */

  /** Creates a room, whose admin is the caller. It starts now, unless `start_time` is set. */
  async createRoom(body: CreateRoomBody, { idempotencyKey, signal }: CreateRoomOptions = {}): Promise<Room> {
    const headers = { 'idempotency-key': idempotencyKey ?? randomId() };
    const { data } = await this.#call('createRoom', { body, headers }, { signal });
    return data;
  }

  /** Changes a room. Admins only. Null clears `description`, `end_time` or `metadata`. */
  async updateRoom(roomId: string, body: UpdateRoomBody, options?: CallOptions): Promise<Room> {
    // Without any field, the service would treat the request as the end of the room.
    if (Object.values(body).every((value) => value === undefined))
      throw new TypeError('updateRoom needs at least one field to change, such as name');
    return (await this.#call('changeRoom', { params: { room_id: roomId }, body }, options)).data;
  }

  /** Ends a room, at once or in `time_left_in_seconds`. Admins only. */
  async endRoom(roomId: string, body: EndRoomBody = {}, options?: CallOptions): Promise<Room> {
    const input = { params: { room_id: roomId }, body };
    const isDone = (code: RoomsErrorCode | undefined) => code === 'room_ended';
    return this.#once('endRoom', input, isDone, options, () => this.getRoom(roomId, options));
  }

  /**
   * Makes a change that removes the permission that it needs. A retry is then rejected, although an earlier attempt
   * succeeded and only its response was lost. If `isDone` returns true for the error of a retry, the result is
   * `done()`.
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

  /** The user, if the access token names one; otherwise an empty string. */
  async #userId(): Promise<string> {
    return tokenFacts(await this.#token(false)).userId ?? '';
  }

  /** Returns a page of the rooms of the user, newest first unless `order` is `asc`. With a filter, a page may be short. */
  async listRooms({ signal, ...query }: ListRoomsQuery & CallOptions = {}): Promise<Page<MyRoom>> {
    const { data, next_cursor } = await this.#call('listRooms', { query }, { signal });
    return { items: data, next_cursor };
  }

  /** Returns all rooms of the user, newest first unless `order` is `asc`. Pages are requested as they are consumed. */
  allRooms(query: AllQuery<ListRoomsQuery> = {}): AsyncGenerator<MyRoom, undefined> {
    return all((cursor) => this.listRooms({ ...query, cursor }));
  }

  /** Returns a room with its current status, the user's own profile and right in it, and the number of unread messages. */
  async getRoom(roomId: string, options?: CallOptions): Promise<RoomDetails> {
    return (await this.#call('getRoom', { params: { room_id: roomId } }, options)).data;
  }

  /** Leaves a room: the user is no longer a participant. The last admin cannot leave: `last_admin`. */
  async leaveRoom(roomId: string, options?: CallOptions): Promise<RemovedParticipant> {
    const isDone = (code: RoomsErrorCode | undefined) => code === 'not_a_participant';
    return this.#once('leaveRoom', { params: { room_id: roomId } }, isDone, options, async () => ({
      participant_id: await this.#userId(),
    }));
  }

  /* Participants */

  /** Adds up to 50 users. Admins only. Existing participants are not changed, and keep their role. */
  async addParticipants(
    roomId: string,
    participantIds: readonly string[],
    { role, signal }: AddParticipantsOptions = {},
  ): Promise<readonly Participant[]> {
    const input = { params: { room_id: roomId }, body: { participant_ids: participantIds, role } };
    return (await this.#call('addParticipants', input, { signal })).data;
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

  /** Grants a participant the admin right. Admins only. */
  async grantAdmin(roomId: string, participantId: string, options?: CallOptions): Promise<Participant> {
    const params = { room_id: roomId, participant_id: participantId };
    return (await this.#call('grantAdmin', { params }, options)).data;
  }

  /** Makes a participant a member or an observer, who may only read. Admins only. An admin cannot become an observer: `participant_is_admin`. */
  async setRole(roomId: string, participantId: string, role: Role, options?: CallOptions): Promise<Participant> {
    const params = { room_id: roomId, participant_id: participantId };
    return (await this.#call('setRole', { params, body: { role } }, options)).data;
  }

  /** Revokes the admin right of a participant. Admins only. A room keeps at least one admin: `last_admin`. */
  async revokeAdmin(roomId: string, participantId: string, options?: CallOptions): Promise<Participant> {
    const params = { room_id: roomId, participant_id: participantId };
    const isDone = async (code: RoomsErrorCode | undefined) =>
      code === 'not_an_admin' && participantId === (await this.#userId());
    return this.#once('revokeAdmin', { params }, isDone, options, async () => {
      const { username, archive_room, role } = await this.getRoom(roomId, options);
      return { participant_id: participantId, username, archive_room, role, is_admin: false };
    });
  }

  /** Returns a page of the participants of a room, each with profile, right and presence. */
  async listParticipants(
    roomId: string,
    { signal, ...query }: ListParticipantsQuery & CallOptions = {},
  ): Promise<Page<ListedParticipant>> {
    const input = { params: { room_id: roomId }, query };
    const { data, next_cursor } = await this.#call('listParticipants', input, { signal });
    return { items: data, next_cursor };
  }

  /** Returns all participants of a room. Pages are requested as they are consumed. */
  allParticipants(
    roomId: string,
    query: AllQuery<ListParticipantsQuery> = {},
  ): AsyncGenerator<ListedParticipant, undefined> {
    return all((cursor) => this.listParticipants(roomId, { ...query, cursor }));
  }

  /** Sets the user's own name in a room, and whether the front end hides the room. */
  async updateProfile(roomId: string, body: UpdateProfileBody, options?: CallOptions): Promise<Profile> {
    return (await this.#call('updateProfile', { params: { room_id: roomId }, body }, options)).data;
  }

  /* Chat */

  /** Returns a page of the chat of a room, newest first unless `order` is `asc`. */
  async listMessages(
    roomId: string,
    { signal, ...query }: ListMessagesQuery & CallOptions = {},
  ): Promise<Page<Message>> {
    const { data, next_cursor } = await this.#call('listMessages', { params: { room_id: roomId }, query }, { signal });
    return { items: data, next_cursor };
  }

  /** Returns all messages of a room, newest first unless `order` is `asc`. Pages are requested as they are consumed. */
  allMessages(roomId: string, query: AllQuery<ListMessagesQuery> = {}): AsyncGenerator<Message, undefined> {
    return all((cursor) => this.listMessages(roomId, { ...query, cursor }));
  }

  /** Changes the text of an own message. Returns the message. */
  async editMessage(roomId: string, messageId: string, text: string, options?: CallOptions): Promise<Message> {
    const params = { room_id: roomId, message_id: messageId };
    return (await this.#call('editMessage', { params, body: { text } }, options)).data;
  }

  /** Deletes an own message, or, for admins, any message: its text, data and files. Returns the message without them. */
  async deleteMessage(roomId: string, messageId: string, options?: CallOptions): Promise<Message> {
    const params = { room_id: roomId, message_id: messageId };
    return (await this.#call('deleteMessage', { params }, options)).data;
  }

  /**
   * Returns a page of edited and deleted messages in their current form, in the order of their last changes. `after` is the `change` of the
   * last message that is known. Default: 0, all changes. A joined room delivers changes as events, also after an outage.
   */
  async listMessageChanges(
    roomId: string,
    { signal, ...query }: ListMessageChangesQuery & CallOptions = {},
  ): Promise<Page<Message>> {
    const input = { params: { room_id: roomId }, query };
    const { data, next_cursor } = await this.#call('listMessageChanges', input, { signal });
    return { items: data, next_cursor };
  }

  /** Marks all messages up to this one as read. The mark only moves forward. Returns the current mark. */
  async markRead(roomId: string, messageId: string, options?: CallOptions): Promise<ReadMark> {
    const input = { params: { room_id: roomId }, body: { message_id: messageId } };
    return (await this.#call('markRead', input, options)).data;
  }

  /* Files */

  /** Uploads a file to a room. Send its `file_id` with a message, so that others can download it. */
  uploadFile(roomId: string, file: Blob | Uint8Array<ArrayBuffer>, options: UploadOptions = {}): Promise<Attachment> {
    return upload(this.#call, this.#settings, roomId, file, options);
  }

  /** Downloads a whole file. To show or save a file in the browser, `downloadUrl` is enough. */
  downloadFile(roomId: string, file: FileSelector, options: TransferOptions = {}): Promise<DownloadedFile> {
    return download(this.#call, this.#settings, roomId, file, options);
  }

  /** Returns a URL from which anyone who has it can download the file for 15 minutes. */
  async downloadUrl(roomId: string, file: FileSelector, options?: CallOptions): Promise<Download> {
    const input = { params: { room_id: roomId }, query: selectorQuery(file) };
    return (await this.#call('createDownload', input, options)).data;
  }

  /* Real time */

  /** Opens the connection, or returns the open one. It reconnects after outages until it is closed. */
  async connect({ signal }: CallOptions = {}): Promise<Connection> {
    signal?.throwIfAborted();
    if (!this.#connecting || this.#connecting.connection.state === 'closed') {
      this.#connecting = openConnection({ settings: this.#settings, token: this.#token, api: this });
    }
    return this.#connecting.opened(signal);
  }

  /** Joins a room, and connects first if needed. */
  async join(roomId: string, options: JoinOptions = {}): Promise<LiveRoom> {
    const connection = await this.connect({ signal: options.signal });
    return connection.join(roomId, options);
  }
}
