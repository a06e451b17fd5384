import * as v from 'valibot';

/*
 * What the clients of a round did and saw. All times are milliseconds since the round began, on the one clock of the
 * test's process.
 */

const operationKinds = [
  'create',
  'join',
  'leave',
  'send',
  'add',
  'remove',
  'grant',
  'revoke',
  'update',
  'end',
  'profile',
  'read',
  'upload',
  'overwrite',
  'download',
  'edit',
  'delete',
  'mark',
] as const;
export type OperationKind = (typeof operationKinds)[number];

/**
 * `ok`: the service said that it is done. `fail`: the service said that it is not, and never will be. `unknown`: it may or
 * may not be done. `pending`: the call has not settled.
 */
const outcome = v.picklist(['ok', 'fail', 'unknown', 'pending']);

const operation = v.object({
  id: v.number(),
  kind: v.picklist(operationKinds),
  /** The user whose call it is. */
  user: v.string(),
  /** The client that makes the call. */
  client: v.string(),
  room: v.optional(v.string()),
  /** Of add, remove, grant and revoke: the user it is about. */
  target: v.optional(v.string()),
  /** Of send: the client message id, which is the text as well. */
  key: v.optional(v.string()),
  invoked: v.number(),
  settled: v.optional(v.number()),
  /** Milliseconds within which the call must settle. */
  limit: v.number(),
  outcome,
  /** The error code, where it is not ok. */
  code: v.optional(v.string()),
  /** Of send: the id that the service gave the message. Of edit, delete and mark: the message it is about. */
  message_id: v.optional(v.string()),
  /** Of edit: the new text. */
  text: v.optional(v.string()),
  /** Of edit and delete: the number of the change, as the service answered. */
  change: v.optional(v.number()),
  /** Of upload, overwrite and download, and of the send of a message with a file: the id of the file. */
  file: v.optional(v.string()),
  /** Of upload, overwrite and download: tells which bytes were sent or received. */
  digest: v.optional(v.string()),
  /** Of update and end, in milliseconds of the round: the end time that the service answered with. */
  ends: v.optional(v.nullable(v.number())),
});
export type Operation = v.InferOutput<typeof operation>;

const observation = v.object({
  at: v.number(),
  user: v.string(),
  client: v.string(),
  /** `raw`: a WebSocket. `sdk`: a room of the client SDK. */
  via: v.picklist(['raw', 'sdk']),
  room: v.string(),
  /**
   * Where it arrived: one WebSocket or, with the SDK, the time between two outages. Within it, messages come in the order of
   * delivery. Missing for messages that the SDK has read from history.
   */
  stream: v.optional(v.string()),
  /** The WebSocket, where the client had one. */
  socket: v.optional(v.string()),
  /**
   * `joined`: from here on the client believes that it has joined the room on this stream. `lost`: from here on it does not:
   * the socket was closed or broken, or the client left. `closed`: the client knows that it gets no more events of the room.
   */
  type: v.string(),
  /** Of a message. */
  message_id: v.optional(v.string()),
  key: v.optional(v.string()),
  sender: v.optional(v.string()),
  file: v.optional(v.string()),
  /** Of a message, and of its edits and deletions: `null` where it is deleted. */
  text: v.optional(v.nullable(v.string())),
  /** The number of the last edit or deletion that the message has. */
  change: v.optional(v.nullable(v.number())),
  /** Of an event about a participant. */
  participant: v.optional(v.string()),
  /** Of `closed`: why. */
  reason: v.optional(v.string()),
});
export type Observation = v.InferOutput<typeof observation>;

/** What the table held at a moment, read consistently room by room. */
const sample = v.object({
  /** When the read began, and when it was over. */
  at: v.number(),
  until: v.number(),
  rooms: v.record(
    v.string(),
    v.object({
      admins: v.array(v.string()),
      /** Names of the WebSockets that the table knows to have joined. */
      sockets: v.array(v.string()),
    }),
  ),
});
export type Sample = v.InferOutput<typeof sample>;

const message = v.object({
  message_id: v.string(),
  sender: v.string(),
  key: v.string(),
  file: v.optional(v.string()),
  /** `sent_at`, in milliseconds of the round. */
  sent: v.number(),
  /** `null` where it is deleted. */
  text: v.optional(v.nullable(v.string())),
  change: v.optional(v.nullable(v.number())),
  deletedBy: v.optional(v.string()),
});

const finalRoom = v.object({
  /** In milliseconds of the round. */
  starts: v.number(),
  ends: v.nullable(v.number()),
  /** When the status was read, and what the service said. */
  read: v.number(),
  status: v.picklist(['booked', 'started', 'ended']),
  participants: v.array(
    v.object({
      user: v.string(),
      admin: v.boolean(),
      online: v.boolean(),
      /** The message up to which the user has marked all as read. */
      read: v.optional(v.nullable(v.string())),
    }),
  ),
  messages: v.array(message),
  /** The feed of edits and deletions, in its order. */
  changes: v.optional(v.array(v.object({ message_id: v.string(), change: v.number() }))),
  /** The pending schedules: when the service means the room to start and to end. */
  schedules: v.object({ start: v.optional(v.number()), end: v.optional(v.number()) }),
  /** Names of the WebSockets that the table knows to have joined. */
  sockets: v.array(v.string()),
  /** Which bytes the files of the messages have, by id; an empty text where there is no such file. */
  files: v.optional(v.record(v.string(), v.string()), {}),
});
export type FinalRoom = v.InferOutput<typeof finalRoom>;

/** How things are at the end, after the faults have stopped. */
export const finalState = v.object({ at: v.number(), rooms: v.record(v.string(), finalRoom) });
export type FinalState = v.InferOutput<typeof finalState>;

export const historySchema = v.object({
  seed: v.number(),
  round: v.number(),
  /** Epoch milliseconds of the beginning of the round. */
  epoch: v.number(),
  /** When the faults stopped. */
  calm: v.number(),
  /** How far clocks may be apart, in milliseconds. */
  skew: v.number(),
  /** The longest time for which the test's own process did nothing, in milliseconds: timers and answers were late by it. */
  stall: v.optional(v.number(), 0),
  operations: v.array(operation),
  observations: v.array(observation),
  samples: v.array(sample),
  final: v.optional(finalState),
});
/** Everything that the checker looks at. */
export type History = v.InferOutput<typeof historySchema>;

export interface Recorder {
  readonly history: History;
  /** Milliseconds since the round began. */
  now(): number;
  /** Notes the start of a call. `settle` notes its outcome. */
  begin(
    call: Pick<
      Operation,
      'kind' | 'user' | 'client' | 'room' | 'target' | 'key' | 'file' | 'digest' | 'limit' | 'message_id' | 'text'
    >,
  ): Operation;
  settle(
    operation: Operation,
    result: Pick<Operation, 'outcome' | 'code' | 'message_id' | 'file' | 'digest' | 'ends' | 'change'>,
  ): void;
  saw(observation: Omit<Observation, 'at'>): void;
}

/** Records the history of a round, which begins now. */
export function recorder(about: Pick<History, 'seed' | 'round' | 'skew'>): Recorder {
  const started = performance.now();
  const now = (): number => Math.round((performance.now() - started) * 10) / 10;
  const history: History = {
    ...about,
    stall: 0,
    epoch: Date.now(),
    calm: Number.MAX_SAFE_INTEGER,
    operations: [],
    observations: [],
    samples: [],
  };
  return {
    history,
    now,
    begin(call) {
      const operation: Operation = { id: history.operations.length, ...call, invoked: now(), outcome: 'pending' };
      history.operations.push(operation);
      return operation;
    },
    settle(operation, result) {
      // What has been given up settles once only.
      if (operation.outcome === 'pending') Object.assign(operation, result, { settled: now() });
    },
    saw: (observation) => void history.observations.push({ at: now(), ...observation }),
  };
}
