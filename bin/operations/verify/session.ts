import { randomBytes, randomUUID } from 'node:crypto';
import { request as plainRequest } from 'node:http';
import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import type { Deployed } from './deployed.ts';
import { CheckFailed, must, NotShown } from './outcome.ts';

/** A user of the APIs, with an access token that can be renewed. */
export interface User {
  readonly id: string;
  token(): Promise<string>;
}

/** Creates a user from a source of tokens. Renews a token 30 seconds before it expires. */
export async function userOf(requestToken: () => Promise<string>): Promise<User> {
  let token = await requestToken();
  const { sub } = decodeJwt(token);
  if (sub === undefined) throw new CheckFailed('The access token has no "sub" claim.');
  return {
    id: sub,
    async token() {
      const { exp = Number.POSITIVE_INFINITY } = decodeJwt(token);
      if (Date.now() > (exp - 30) * 1_000) token = await requestToken();
      return token;
    },
  };
}

/** The deployment to verify. Neither URL ends in a slash. */
export interface Target {
  readonly http: string;
  readonly webSocket: string;
  readonly user: User;
  /** Undefined if only one user was given. Checks that need two users are then not shown. */
  readonly other: User | undefined;
  /** Properties of the deployment. Undefined if the URLs were given without an environment. */
  readonly deployed: Deployed | undefined;
  /** Origin of a page that may call the API, if one was given. */
  readonly origin: string | undefined;
  /** Number of requests to each route. */
  readonly requests: number;
  /** Maximum p99 of a route, in milliseconds. */
  readonly maxP99: number;
}

const answer = v.object({
  data: v.optional(v.unknown()),
  errors: v.optional(v.array(v.object({ code: v.string() }))),
});

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly data: unknown;
  readonly codes: readonly string[];
  /** Time from the request to the end of the response, in milliseconds. */
  readonly ms: number;
}

const frame = v.looseObject({
  type: v.string(),
  request_id: v.optional(v.nullable(v.string())),
  room_id: v.optional(v.string()),
  ok: v.optional(v.boolean()),
  data: v.optional(v.unknown()),
  error: v.optional(v.object({ code: v.string() })),
});
type Frame = v.InferOutput<typeof frame>;

/** A frame, and its time of arrival by the monotonic clock. */
export interface Received {
  readonly at: number;
  readonly frame: Frame;
}

/** Maximum wait for a response or a handshake, in milliseconds. API Gateway's limit is 30 seconds. */
const ANSWER_MS = 30_000;

const roomData = v.object({ room_id: v.string() });

/** Runs the operations of checks on a target, and cleans up afterwards. */
export class Session {
  readonly target: Target;
  /** Rooms that were created and are not ended yet. */
  readonly openRooms = new Set<string>();
  /** Rooms that are not ended yet and that no check needs. */
  readonly spareRooms = new Set<string>();
  roomsCreated = 0;
  readonly #sockets = new Set<Socket>();
  readonly #label = `verify ${new Date().toISOString()}`;

  constructor(target: Target) {
    this.target = target;
  }

  get user(): User {
    return this.target.user;
  }

  /** @throws NotShown if there is only one user */
  get other(): User {
    if (!this.target.other) throw new NotShown('needs a second user: set ROOMS_TOKEN_2');
    return this.target.other;
  }

  /** @throws NotShown if no allowed origin is known */
  get origin(): string {
    const { origin, deployed } = this.target;
    const found = origin ?? deployed?.origins.at(0);
    if (found === undefined)
      throw new NotShown(
        deployed
          ? 'the environment allows no origin'
          : 'needs an allowed origin: specify --origin, or --env to read it from the stack',
      );
    return found === '*' ? 'https://verify.example' : found;
  }

  /** Calls the HTTP API as a user. */
  async call(
    method: string,
    path: string,
    { body, user = this.user, signal }: { body?: unknown; user?: User; signal?: AbortSignal } = {},
  ): Promise<Answered> {
    const authorization = `Bearer ${await user.token()}`;
    const started = performance.now();
    const timeLimit = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(this.target.http + path, {
      method,
      headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
      signal: signal ? AbortSignal.any([signal, timeLimit]) : timeLimit,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const ms = performance.now() - started;
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), answer), text);
    const { data, errors = [] } = parsed.success ? parsed.output : {};
    return { status: response.status, headers: response.headers, data, codes: errors.map(({ code }) => code), ms };
  }

  /**
   * Like `call`, but returns the data of the response.
   *
   * @throws CheckFailed if the call is rejected
   */
  async data(method: string, path: string, options?: Parameters<Session['call']>[2]): Promise<unknown> {
    const { status, codes, data } = await this.call(method, path, options);
    must(status < 300, `${method} ${path} returned ${status} ${codes.join(', ')}`);
    return data;
  }

  /** Registers a room that the cleanup ends. */
  noteRoom(data: unknown): string {
    const { room_id } = v.parse(roomData, data);
    this.roomsCreated++;
    this.openRooms.add(room_id);
    return room_id;
  }

  newRoom(fields: object = {}): object {
    return { name: this.#label, ...fields };
  }

  /** Creates a room and returns its ID. Waits once if the route is throttled. */
  async createRoom(fields: object = {}, signal?: AbortSignal): Promise<string> {
    const create = () => this.call('POST', '/room', { body: this.newRoom(fields), ...(signal && { signal }) });
    let answered = await create();
    if (answered.status === 429) {
      await sleep(2_000, undefined, { signal });
      answered = await create();
    }
    const { status, codes, data } = answered;
    must(status === 201, `POST /room returned ${status} ${codes.join(', ')}`);
    return this.noteRoom(data);
  }

  /**
   * Makes a handshake over plain HTTP and closes the connection. Returns the status and the negotiated sub-protocol.
   * WebSocket clients hide both, and fail if the response has no sub-protocol that they offered.
   */
  async handshake(
    headers: Readonly<Record<string, string>>,
  ): Promise<{ status: number; protocol: string | undefined }> {
    const url = new URL(this.target.webSocket.replace(/^ws/, 'http'));
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; protocol: string | undefined }>();
    const open = url.protocol === 'https:' ? request : plainRequest;
    const asked = open(url, {
      agent: false,
      timeout: ANSWER_MS,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
        ...headers,
      },
    });
    asked.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve({ status: 101, protocol: response.headers['sec-websocket-protocol'] });
    });
    asked.on('response', (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, protocol: undefined });
    });
    asked.on('timeout', () => asked.destroy(new CheckFailed(`no response to a handshake within ${ANSWER_MS} ms`)));
    asked.on('error', reject).end();
    return promise;
  }

  /** Opens a connection with the token in the header. */
  async connect(user: User = this.user): Promise<Socket> {
    const webSocket = new WebSocket(this.target.webSocket, {
      headers: { authorization: `Bearer ${await user.token()}` },
      handshakeTimeout: ANSWER_MS,
    });
    const socket = new Socket(webSocket);
    this.#sockets.add(socket);
    await socket.opened;
    return socket;
  }

  /** Opens a connection that has joined a room. */
  async join(room_id: string, user?: User): Promise<Socket> {
    const socket = await this.connect(user);
    await socket.data('join', { room_id });
    return socket;
  }

  /** Closes the connections and ends the rooms. Returns how many rooms could not be ended. */
  async cleanUp(): Promise<number> {
    for (const socket of this.#sockets) socket.drop();
    for (const room_id of this.openRooms) {
      const ended = async (): Promise<boolean> => {
        // A room that cannot be ended is counted, and reported with its ID.
        const answered = await this.call('DELETE', `/admin/room/${room_id}`).catch(() => undefined);
        return answered?.status === 200 || answered?.codes.includes('room_ended') === true;
      };
      if (!(await ended())) {
        await sleep(1_000);
        if (!(await ended())) continue;
      }
      this.openRooms.delete(room_id);
    }
    return this.openRooms.size;
  }
}

/** A connection to the WebSocket API that records received frames. */
export class Socket {
  readonly opened: Promise<void>;
  /** The close code of the connection. */
  readonly closed: Promise<number>;
  readonly #webSocket: WebSocket;
  readonly #received: Received[] = [];
  readonly #waiting = new Set<() => void>();
  #closeCode: number | undefined;

  constructor(webSocket: WebSocket) {
    this.#webSocket = webSocket;
    const opened = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<number>();
    this.opened = opened.promise;
    this.closed = closed.promise;
    const notify = (): void => {
      for (const look of this.#waiting) look();
    };
    webSocket.on('open', () => opened.resolve());
    webSocket.on('message', (data) => {
      const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), frame), String(data));
      if (parsed.success) this.#received.push({ at: performance.now(), frame: parsed.output });
      notify();
    });
    webSocket.on('error', (error) => opened.reject(error));
    webSocket.on('close', (code) => {
      this.#closeCode = code;
      opened.reject(new CheckFailed(`The connection was closed with ${code} before it was open.`));
      closed.resolve(code);
      notify();
    });
    // A failure is thrown where the promise is awaited. Until then, it must not end the process.
    this.opened.catch(() => {});
  }

  /**
   * Waits for a frame, or returns it if it has already arrived.
   *
   * @throws CheckFailed after `ms`, or if the connection closes first
   */
  async waitFor(what: string, matches: (frame: Frame) => boolean, ms: number = ANSWER_MS): Promise<Received> {
    const { promise, resolve, reject } = Promise.withResolvers<Received>();
    const look = (): void => {
      const found = this.#received.find((each) => matches(each.frame));
      if (found) resolve(found);
      else if (this.#closeCode !== undefined)
        reject(new CheckFailed(`the connection was closed with ${this.#closeCode} before ${what}`));
    };
    const timer = setTimeout(() => reject(new CheckFailed(`no ${what} within ${ms / 1_000} s`)), ms);
    this.#waiting.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  waitForEvent(room_id: string, type: string, ms?: number): Promise<Received> {
    return this.waitFor(type, (each) => each.type === type && each.room_id === room_id, ms);
  }

  /** Sends an action and returns its reply. */
  async ask(action: string, fields: object = {}): Promise<Received> {
    const request_id = randomUUID();
    this.#webSocket.send(JSON.stringify({ action, request_id, ...fields }));
    return this.waitFor(`reply to ${action}`, (each) => each.type === 'reply' && each.request_id === request_id);
  }

  /**
   * Like `ask`, but returns the data of the reply.
   *
   * @throws CheckFailed if the action is rejected
   */
  async data(action: string, fields?: object): Promise<unknown> {
    const { frame } = await this.ask(action, fields);
    must(frame.ok === true, `the action ${action} was rejected with ${frame.error?.code}`);
    return frame.data;
  }

  /** Sends one message, split into frames. */
  sendFrames(...frames: readonly string[]): void {
    for (const [n, text] of frames.entries()) this.#webSocket.send(text, { fin: n === frames.length - 1 });
  }

  close(): void {
    this.#webSocket.close();
  }

  /** Ends the connection without a close frame, as after a power failure. */
  drop(): void {
    this.#webSocket.on('error', () => {});
    this.#webSocket.terminate();
  }
}
