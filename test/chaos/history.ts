import * as v from 'valibot';

/*
 * What the clients of a round did and received. All times are milliseconds since the start of the round, by the clock
 * of the test's process.
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
 * `ok`: the service confirmed success. `fail`: the service rejected the call permanently. `unknown`: the call may or
 * may not have succeeded. `pending`: the call has not finished.
 */
const outcome = v.picklist(['ok', 'fail', 'unknown', 'pending']);

const operation = v.object({
  id: v.number(),
  kind: v.picklist(operationKinds),
  /** The user of the call. */
  user: v.string(),
  /** The client that made the call. */
  client: v.string(),
  room: v.optional(v.string()),
  /** The affected user, for add, remove, grant and revoke. */
  target: v.optional(v.string()),
  /** The client_message_id of a send, which is also the text. */
  key: v.optional(v.string()),
  invoked: v.number(),
  settled: v.optional(v.number()),
  /** The time limit of the call, in milliseconds. */
  limit: v.number(),
  outcome,
  /** The error code, unless the outcome is ok. */
  code: v.optional(v.string()),
  /** The ID of the message: for a send, the one that the service assigned. */
  message_id: v.optional(v.string()),
  /** The new text of an edit. */
  text: v.optional(v.string()),
  /** The change number in the response to an edit or deletion. */
  change: v.optional(v.number()),
  /** The ID of the file, for file operations and for a send with a file. */
  file: v.optional(v.string()),
  /** The hash of the sent or received bytes, for upload, overwrite and download. */
  digest: v.optional(v.string()),
  /** The end time in the response to an update or an end, in milliseconds since the start of the round. */
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
   * The origin of the observation: one WebSocket or, with the SDK, the time between two outages. Its messages are in
   * delivery order. Missing for messages that the SDK read from history.
   */
  stream: v.optional(v.string()),
  /** The name of the WebSocket, if the client had one. */
  socket: v.optional(v.string()),
  /**
   * `joined`: the client now considers itself joined to the room on this stream. `lost`: it no longer does, because the
   * socket was closed or broken, or the client left. `closed`: the client knows that no further events of the room
   * follow.
   */
  type: v.string(),
  /** For messages. */
  message_id: v.optional(v.string()),
  key: v.optional(v.string()),
  sender: v.optional(v.string()),
  file: v.optional(v.string()),
  /** The text of a message, also after an edit. Null after a deletion. */
  text: v.optional(v.nullable(v.string())),
  /** The change number of the message's last edit or deletion. */
  change: v.optional(v.nullable(v.number())),
  /** For events about a participant. */
  participant: v.optional(v.string()),
  /** The reason of `closed`. */
  reason: v.optional(v.string()),
});
export type Observation = v.InferOutput<typeof observation>;

/** The content of the table at one time, read consistently room by room. */
const sample = v.object({
  /** The start and the end of the read. */
  at: v.number(),
  until: v.number(),
  rooms: v.record(
    v.string(),
    v.object({
      admins: v.array(v.string()),
      /** Names of the WebSockets that have joined, according to the table. */
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
  /** `sent_at`, in milliseconds since the start of the round. */
  sent: v.number(),
  /** Null if the message is deleted. */
  text: v.optional(v.nullable(v.string())),
  change: v.optional(v.nullable(v.number())),
  deletedBy: v.optional(v.string()),
});

const finalRoom = v.object({
  /** In milliseconds since the start of the round. */
  starts: v.number(),
  ends: v.nullable(v.number()),
  /** When the status was read, and its value. */
  read: v.number(),
  status: v.picklist(['booked', 'started', 'ended']),
  participants: v.array(
    v.object({
      user: v.string(),
      admin: v.boolean(),
      online: v.boolean(),
      /** The read mark of the user. */
      read: v.optional(v.nullable(v.string())),
    }),
  ),
  messages: v.array(message),
  /** The feed of edits and deletions, in order. */
  changes: v.optional(v.array(v.object({ message_id: v.string(), change: v.number() }))),
  /** The pending schedules for the start and the end of the room. */
  schedules: v.object({ start: v.optional(v.number()), end: v.optional(v.number()) }),
  /** Names of the WebSockets that have joined, according to the table. */
  sockets: v.array(v.string()),
  /** The hash of each file, by file ID. An empty string if the file does not exist. */
  files: v.optional(v.record(v.string(), v.string()), {}),
});
export type FinalRoom = v.InferOutput<typeof finalRoom>;

/** The final state, after the faults have stopped. */
export const finalState = v.object({ at: v.number(), rooms: v.record(v.string(), finalRoom) });
export type FinalState = v.InferOutput<typeof finalState>;

export const historySchema = v.object({
  seed: v.number(),
  round: v.number(),
  /** The start of the round, in epoch milliseconds. */
  epoch: v.number(),
  /** When the faults stopped. */
  calm: v.number(),
  /** The maximum difference between clocks, in milliseconds. */
  skew: v.number(),
  /** The longest stall of the test's process, in milliseconds, which delayed timers and responses. */
  stall: v.optional(v.number(), 0),
  operations: v.array(operation),
  observations: v.array(observation),
  samples: v.array(sample),
  final: v.optional(finalState),
});
/** The input of the checker. */
export type History = v.InferOutput<typeof historySchema>;

export interface Recorder {
  readonly history: History;
  /** Milliseconds since the start of the round. */
  now(): number;
  /** Records the start of a call. `settle` records its outcome. */
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

/** Starts to record the history of a round. */
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
      // A call settles only once, even if it was abandoned before.
      if (operation.outcome === 'pending') Object.assign(operation, result, { settled: now() });
    },
    saw: (observation) => void history.observations.push({ at: now(), ...observation }),
  };
}
