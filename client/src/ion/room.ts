import type { Connection } from '../connection.ts';
import type { ListedParticipant, MyRoom } from '../contract.ts';
import { codeOf, messageOf, type RoomsErrorCode } from '../errors.ts';
import { type LiveParticipants, liveParticipants } from '../live-state.ts';
import type { LiveRoom } from '../room-types.ts';
import type { Connector } from './connector.ts';
import { toOutgoing, toPayload } from './payload.ts';
import {
  Direction,
  type Disconnect,
  ErrorType,
  type JoinResult,
  type Message,
  type Peer,
  type PeerEvent,
  PeerState,
  Protocol,
  Role,
  type RoomInfo,
  type Service,
} from './types.ts';

const ERROR_TYPES: Partial<Record<RoomsErrorCode, ErrorType>> = {
  invalid_request: ErrorType.INVALIDPARAMS,
  invalid_token: ErrorType.PERMISSIONDENIED,
  token_expired: ErrorType.PERMISSIONDENIED,
  not_a_participant: ErrorType.PERMISSIONDENIED,
  room_not_found: ErrorType.ROOMNOTEXIST,
  room_ended: ErrorType.ROOMNOTEXIST,
  room_not_started: ErrorType.ROOMNOTEXIST,
  network_error: ErrorType.SERVICEUNAVAILABLE,
  timeout: ErrorType.SERVICEUNAVAILABLE,
  too_many_requests: ErrorType.SERVICEUNAVAILABLE,
  internal: ErrorType.SERVICEUNAVAILABLE,
  try_again: ErrorType.SERVICEUNAVAILABLE,
};

const infoOf = ({ room_id, name, description, posting }: MyRoom): RoomInfo => ({
  sid: room_id,
  name,
  lock: posting === 'admins',
  password: '',
  description: description ?? '',
  maxpeers: 0,
});

const peerOf = (sid: string, { participant_id, username, is_admin }: ListedParticipant): Peer => ({
  sid,
  uid: participant_id,
  displayname: username ?? participant_id,
  extrainfo: '',
  destination: '',
  role: is_admin ? Role.HOST : Role.GUEST,
  protocol: Protocol.PROTOCOLUNKNOWN,
  avatar: '',
  direction: Direction.BILATERAL,
  vendor: '',
});

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || (value instanceof Uint8Array && value.length === 0);

/** `Room` of `ion-sdk-js/lib/connector`, on top of Rooms: chat and peers. */
export class Room implements Service {
  readonly name = 'room';
  readonly connector: Connector;
  connected = false;
  /** Called when the connection cannot be opened, or is permanently closed by an error. */
  onerror?: (err: Event) => void;
  onjoin?: (result: JoinResult) => void;
  onleave?: (reason: string) => void;
  /**
   * Called with `JOIN` for each user who is online at the join or comes later, with `UPDATE` for a new name or admin
   * right, and with `LEAVE`. Not called for the user.
   */
  onpeerevent?: (ev: PeerEvent) => void;
  /**
   * Called for every message, including the user's own. Each message arrives once and in order, also after an outage.
   */
  onmessage?: (msg: Message) => void;
  /** Called after the join, and when the room changes. */
  onroominfo?: (info: RoomInfo) => void;
  /** Called when the room ends, or the user is removed. Not called for an outage. */
  ondisconnect?: (dis: Disconnect) => void;
  #live: LiveRoom | undefined;
  #people: LiveParticipants | undefined;
  #connection: Promise<Connection> | undefined;
  /** Other users who are online, as they were last reported to the application. */
  #peers: ReadonlyMap<string, Peer> = new Map();

  /** Registers the room with the connector, and connects. */
  constructor(connector: Connector) {
    this.connector = connector;
    connector.registerService(this);
    this.connect();
  }

  /** Opens the connection, if none is open. Errors are passed to `onerror`. */
  connect(): void {
    this.#open().catch((error: unknown) => {
      this.#connection = undefined;
      this.onerror?.(new CustomEvent('error', { detail: error }));
    });
  }

  #open(): Promise<Connection> {
    const open = async (): Promise<Connection> => {
      const connection = await this.connector.client.connect();
      const onState = () => this.#setConnected(connection.state === 'connected');
      for (const state of ['connected', 'reconnecting', 'idle', 'closed'] as const) connection.on(state, onState);
      onState();
      return connection;
    };
    this.#connection ??= open();
    return this.#connection;
  }

  #setConnected(connected: boolean): void {
    if (connected === this.connected) return;
    this.connected = connected;
    if (connected) this.connector.onopen?.(this);
    else this.connector.onclose?.(this, new CustomEvent(this.name, { detail: { statusMessage: 'disconnected' } }));
  }

  /**
   * Joins a room as the user of the access token. `displayname` becomes the user's name in the room.
   *
   * Resolves with `success: false` and a reason if the service rejects the join.
   *
   * @throws Error for unsupported options: a password, `extrainfo`, `avatar`, or a `uid` that is not the user's
   */
  async join(peer: Peer, password?: string): Promise<JoinResult> {
    if (password)
      throw new Error('Rooms has no room passwords. Add the users to the room, and leave the password out.');
    if (!isEmpty(peer.extrainfo))
      throw new Error('Rooms does not store extrainfo. Keep such data in your application, and pass an empty text.');
    if (!isEmpty(peer.avatar))
      throw new Error('Rooms does not store avatars. Keep them in your application, and pass an empty text.');
    const result = await this.#join(peer).catch((error: unknown) => this.#failed(peer.sid, error));
    this.onjoin?.(result);
    return result;
  }

  #failed(sid: string, error: unknown): JoinResult {
    const code = codeOf(error);
    if (!code) throw error;
    const errType = ERROR_TYPES[code] ?? ErrorType.UNKNOWNERROR;
    const room = { sid, name: '', lock: false, password: '', description: '', maxpeers: 0 };
    return { success: false, error: { errType, reason: messageOf(error) }, role: Role.GUEST, room };
  }

  async #join({ sid, uid, displayname }: Peer): Promise<JoinResult> {
    const { client } = this.connector;
    if (this.#live && !this.#live.closed && this.#live.id !== sid.toLowerCase())
      throw new Error('This Room has joined another room. Leave it first, or create another Room for each room.');
    const { userId } = await this.#open();
    if (uid && userId && uid !== userId)
      throw new Error(`The access token is of the user "${userId}". Pass this ID as uid.`);
    const live = await client.join(sid);
    if (live !== this.#live) this.#listen(live, userId ?? uid);
    if (displayname && displayname !== live.info.username) await client.updateProfile(sid, { username: displayname });
    await this.#peersAreKnown();
    this.onroominfo?.(infoOf(live.info));
    const role = live.info.is_admin ? Role.HOST : Role.GUEST;
    return { success: true, error: { errType: ErrorType.NONE, reason: '' }, role, room: infoOf(live.info) };
  }

  #listen(live: LiveRoom, userId: string): void {
    this.#live = live;
    live.on('message', (message) => {
      const { type, bytes } = toPayload(message);
      this.onmessage?.({ from: message.sender_id, to: 'all', type, payload: bytes, data: bytes });
    });
    for (const name of ['room_updated', 'room_started', 'room_ended'] as const)
      live.on(name, () => this.onroominfo?.(infoOf(live.info)));
    const people = liveParticipants(this.connector.client, live);
    this.#people = people;
    people.subscribe(({ participants }) => this.#showPeers(live.id, participants, userId));
    live.on('closed', ({ reason, error }) => {
      people.close();
      this.#peers = new Map();
      if (reason === 'room_ended') this.#disconnected(live.id, live.info.end_reason ?? 'The room has ended.');
      if (reason === 'removed') this.#disconnected(live.id, 'You were removed from the room.');
      if (reason === 'refused') this.onerror?.(new CustomEvent('error', { detail: error ?? null }));
    });
  }

  #disconnected(sid: string, reason: string): void {
    this.ondisconnect?.({ sid, reason });
  }

  /** Resolves after the participants were read once, or reading them has failed. */
  #peersAreKnown(): Promise<void> {
    const people = this.#people;
    return new Promise((resolve) => {
      if (people?.state.status !== 'loading' || this.#live?.closed) return resolve();
      const stop = people.subscribe(({ status }) => {
        if (status === 'loading') return;
        stop();
        resolve();
      });
      this.#live?.once('closed', () => resolve());
    });
  }

  #showPeers(sid: string, participants: readonly ListedParticipant[], userId: string): void {
    const before = this.#peers;
    const online = participants.filter((one) => one.online && one.participant_id !== userId);
    const now = new Map(online.map((one) => [one.participant_id, peerOf(sid, one)]));
    this.#peers = now;
    for (const [uid, peer] of now) {
      const known = before.get(uid);
      if (!known) this.onpeerevent?.({ state: PeerState.JOIN, peer });
      else if (known.displayname !== peer.displayname || known.role !== peer.role)
        this.onpeerevent?.({ state: PeerState.UPDATE, peer });
    }
    for (const [uid, peer] of before) if (!now.has(uid)) this.onpeerevent?.({ state: PeerState.LEAVE, peer });
  }

  /**
   * Leaves the room: others see the user go offline. The user stays a participant. Returns the reason that `onleave`
   * receives.
   */
  async leave(_sid: string, _uid: string): Promise<string> {
    const reason = 'left';
    await this.#live?.leave();
    this.#live = undefined;
    this.onleave?.(reason);
    return reason;
  }

  /**
   * Sends a message to the room. Resolves when it is stored.
   *
   * @param to `all`, or the ID of the room.
   * @param mineType Comes back as `type`.
   * @param data Of the entry `msg`, `text` becomes the text and `attachment.file_id` the file of the message. Everything else is sent as it is, up to 4 KiB
   * as JSON.
   * @throws Error for a message to one user. @throws RoomsApiError if the service rejects the message.
   */
  // biome-ignore lint/suspicious/noExplicitAny: the type of the Ion SDK.
  async message(sid: string, _from: string, to: string, mineType: string, data: Map<string, any>): Promise<void> {
    if (to !== 'all' && to !== sid)
      throw new Error('Rooms has no messages to one user. Send to "all", or create a room for two users.');
    const live = this.#live;
    if (!live) throw new Error('Join the room before you send a message.');
    await live.send(toOutgoing(mineType, data));
  }

  /** Leaves the room, and closes the connection. `connect` opens a new one. */
  close(): void {
    const opened = this.#connection;
    this.#connection = undefined;
    this.#live?.leave().catch(() => {});
    this.#live = undefined;
    opened?.then(
      (connection) => connection.close(),
      () => {},
    );
  }
}
