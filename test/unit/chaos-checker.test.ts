import { expect, test } from 'vitest';
import { BOUNDS, check, type Property, propertyNames } from '../chaos/checker.ts';
import type { FinalRoom, History, Observation, Operation, Sample } from '../chaos/history.ts';

/*
 * Hand-written histories of one room with the admin alice and the participants bob and carol. Times are in milliseconds
 * since the start of the round.
 */

const room = 'room';
const END = 200_000;

interface Parts {
  readonly operations?: readonly Partial<Operation>[];
  readonly observations?: readonly Partial<Observation>[];
  readonly samples?: readonly Sample[];
  readonly final?: Partial<FinalRoom>;
  readonly skew?: number;
}

function history({ operations = [], observations = [], samples = [], final = {}, skew = 0 }: Parts): History {
  const members = ['alice', 'bob', 'carol'];
  const seen = observations.map((each): Observation => {
    const user = each.user ?? 'bob';
    const via = each.via ?? 'raw';
    const live = via === 'raw' || each.type !== 'message';
    return {
      at: 0,
      user,
      client: user,
      via,
      room,
      type: 'message',
      ...(live && { stream: `${user}/1` }),
      socket: `${user}/1`,
      ...each,
    };
  });
  const isOut = ({ type }: Observation) => type === 'lost' || type === 'closed';
  const here = members.filter((user) => {
    const own = seen.filter((each) => each.user === user && (each.type === 'joined' || isOut(each)));
    return own.at(-1)?.type === 'joined';
  });
  return {
    seed: 1,
    round: 0,
    epoch: 0,
    stall: 0,
    calm: 100_000,
    skew,
    operations: operations.map((each, id): Operation => {
      const { outcome = 'ok', invoked = 0 } = each;
      return {
        id,
        kind: 'send',
        user: 'alice',
        client: 'alice',
        room,
        limit: 30_000,
        ...(outcome !== 'pending' && { settled: invoked + 10 }),
        ...each,
        invoked,
        outcome,
      };
    }),
    observations: seen,
    samples: [...samples],
    final: {
      at: END,
      rooms: {
        [room]: {
          starts: 0,
          ends: null,
          read: END,
          status: 'started',
          participants: members.map((user) => ({ user, admin: user === 'alice', online: here.includes(user) })),
          messages: [],
          schedules: {},
          sockets: here.map((user) => `${user}/1`),
          files: {},
          ...final,
        },
      },
    },
  };
}

const send = (n: number, invoked: number, more: Partial<Operation> = {}): Partial<Operation> => ({
  kind: 'send',
  key: `k${n}`,
  message_id: `m${n}`,
  invoked,
  ...more,
});
const stored = (...numbers: readonly number[]): FinalRoom['messages'] =>
  numbers.map((n) => ({ message_id: `m${n}`, sender: 'alice', key: `k${n}`, sent: 0 }));
const joined = (user: string, at: number, more: Partial<Observation> = {}): Partial<Observation> => ({
  type: 'joined',
  user,
  at,
  ...more,
});
const got = (user: string, n: number, at: number, more: Partial<Observation> = {}): Partial<Observation> => ({
  user,
  at,
  message_id: `m${n}`,
  key: `k${n}`,
  sender: 'alice',
  ...more,
});
const sample = (at: number, sockets: readonly string[], admins: readonly string[] = ['alice']): Sample => ({
  at,
  until: at,
  rooms: { [room]: { admins: [...admins], sockets: [...sockets] } },
});
const ended = { ends: 50_000, status: 'ended' as const };
const end: Partial<Operation> = { kind: 'end', invoked: 50_000, ends: 50_000 };
const closedByEnd: Partial<Observation> = { type: 'closed', via: 'sdk', at: 50_050, reason: 'room_ended' };
const remove: Partial<Operation> = { kind: 'remove', target: 'bob', invoked: 1_000 };
const withoutBob = ['alice', 'carol'].map((user) => ({ user, admin: user === 'alice', online: false }));
const samplesOf = (sockets: readonly string[]): Sample[] =>
  Array.from({ length: 30 }, (_, n) => sample(1_000 + n * 1_000, sockets));

/** Alice uploads a file, sends a message with it, and bob receives it. */
const upload: Partial<Operation> = { kind: 'upload', file: 'f1', digest: 'A', invoked: 100 };
const sendsFile = [upload, send(1, 200, { file: 'f1' })];
const gotFile = got('bob', 1, 300, { file: 'f1' });
const download = (digest: string | undefined, more: Partial<Operation> = {}): Partial<Operation> => ({
  kind: 'download',
  user: 'bob',
  file: 'f1',
  invoked: 400,
  ...(digest !== undefined && { digest }),
  ...more,
});
const overwrite: Partial<Operation> = { kind: 'overwrite', file: 'f1', digest: 'B', invoked: 1_000 };
const storedFile = (digest: string): Partial<FinalRoom> => ({
  messages: [{ message_id: 'm1', sender: 'alice', key: 'k1', sent: 0, file: 'f1' }],
  files: { f1: digest },
});
/** A history of a file. Parts that are not given have correct defaults. */
const ofFile = (operations: readonly Partial<Operation>[], final = storedFile('A'), seen = gotFile): Parts => ({
  operations: [...sendsFile, ...operations],
  observations: [joined('bob', 0), seen],
  final,
});

/** Alice sends a message and edits it, and bob sees both. */
const edit = (n: number, change: number, invoked: number, more: Partial<Operation> = {}): Partial<Operation> => ({
  kind: 'edit',
  message_id: 'm1',
  text: `e${n}`,
  change,
  invoked,
  ...more,
});
const deletion = (change: number, invoked: number, more: Partial<Operation> = {}): Partial<Operation> => ({
  kind: 'delete',
  message_id: 'm1',
  change,
  invoked,
  ...more,
});
/** What bob receives about the message: its text or its deletion, and its last change. */
const saw = (text: string | null, change: number | null, at: number, more: Partial<Observation> = {}) =>
  got('bob', 1, at, {
    type: change === null ? 'message' : text === null ? 'message_deleted' : 'message_updated',
    text,
    change,
    ...more,
  });
const sdk = { via: 'sdk' } as const;
/** The message in the history, and in the feed of changes. */
const endsAs = (text: string | null, change: number | null, more: Partial<FinalRoom> = {}): Partial<FinalRoom> => ({
  messages: [
    {
      message_id: 'm1',
      sender: 'alice',
      key: 'k1',
      sent: 0,
      text,
      change,
      ...(text === null && { deletedBy: 'alice' }),
    },
  ],
  changes: change === null ? [] : [{ message_id: 'm1', change }],
  ...more,
});
/** A history of a message that changes. Bob has joined; parts that are not given have correct defaults. */
const ofChanges = (
  operations: readonly Partial<Operation>[],
  observations: readonly Partial<Observation>[],
  final: Partial<FinalRoom>,
  via: 'raw' | 'sdk' = 'raw',
): Parts => ({
  operations: [send(1, 10), ...operations],
  observations: [joined('bob', 0, { via }), saw('k1', null, 30, { via }), ...observations],
  final,
});
const refusedEdit = edit(1, 1, 100, { user: 'bob', outcome: 'fail', code: 'not_the_sender', change: undefined });
const awayAndBack: readonly Partial<Observation>[] = [
  { type: 'closed', user: 'bob', at: 50, reason: 'left', ...sdk },
  joined('bob', 200, { ...sdk, stream: 'bob/2' }),
];

/** For each property: a history that satisfies it, and one that violates it. */
const cases: readonly (readonly [Property, string, Parts, Parts])[] = [
  ['files', 'who downloads a file gets what was uploaded', ofFile([download('A')]), ofFile([download('B')])],
  [
    'files',
    'a file that was never uploaded cannot be downloaded',
    ofFile([download(undefined, { outcome: 'unknown' })]),
    ofFile([download('A', { file: 'f2' })]),
  ],
  [
    'files',
    'a file that was delivered can be downloaded, except by a removed user',
    ofFile([download(undefined, { outcome: 'fail', code: 'not_a_participant' })]),
    ofFile([download(undefined, { outcome: 'fail', code: 'no_object' })]),
  ],
  [
    'files',
    'after an acknowledged upload, its URL stores nothing more',
    ofFile([{ ...overwrite, outcome: 'fail', code: '412' }]),
    ofFile([overwrite]),
  ],
  [
    'files',
    'an upload whose outcome is unknown may be repeated',
    { operations: [{ ...upload, outcome: 'unknown' }, overwrite] },
    { operations: [upload, overwrite] },
  ],
  ['files', 'a file has the uploaded bytes in the end', ofFile([]), ofFile([], storedFile('B'))],
  ['files', 'a file is there in the end', ofFile([]), ofFile([], storedFile(''))],
  [
    'files',
    'a message is delivered with the file it was sent with',
    ofFile([]),
    ofFile([], storedFile('A'), got('bob', 1, 300)),
  ],
  [
    'files',
    'a message is stored with the file it was sent with',
    ofFile([]),
    ofFile([], { messages: stored(1), files: {} }),
  ],
  [
    'stored',
    'an acknowledged message is stored',
    { operations: [send(1, 0)], final: { messages: stored(1) } },
    { operations: [send(1, 0)] },
  ],
  [
    'stored',
    'a message that is sent again is stored once',
    {
      operations: [send(1, 0, { outcome: 'unknown', message_id: undefined }), send(1, 100)],
      final: { messages: stored(1) },
    },
    {
      operations: [send(1, 0, { outcome: 'unknown', message_id: undefined }), send(1, 100)],
      final: { messages: [...stored(1), { message_id: 'm9', sender: 'alice', key: 'k1', sent: 0 }] },
    },
  ],
  [
    'genuine',
    'a message that was rejected is not stored',
    {
      operations: [send(1, 0, { outcome: 'unknown', message_id: undefined })],
      final: { messages: stored(1) },
    },
    {
      operations: [send(1, 0, { outcome: 'fail', code: 'room_ended', message_id: undefined })],
      final: { messages: stored(1) },
    },
  ],
  [
    'genuine',
    'only messages that were sent are received',
    { operations: [send(1, 10)], observations: [joined('bob', 0), got('bob', 1, 30)], final: { messages: stored(1) } },
    { observations: [joined('bob', 0), got('bob', 1, 30)], final: { messages: [] } },
  ],
  [
    'once',
    'the SDK delivers a message once, also after an outage',
    {
      operations: [send(1, 10)],
      observations: [
        joined('bob', 0, { via: 'sdk' }),
        got('bob', 1, 30, { via: 'sdk' }),
        { type: 'closed', user: 'bob', via: 'sdk', at: 40, reason: 'left' },
        joined('bob', 50, { via: 'sdk' }),
        got('bob', 1, 60, { via: 'sdk' }),
      ],
      final: { messages: stored(1) },
    },
    {
      operations: [send(1, 10)],
      observations: [
        joined('bob', 0, { via: 'sdk' }),
        got('bob', 1, 30, { via: 'sdk' }),
        got('bob', 1, 60, { via: 'sdk' }),
      ],
      final: { messages: stored(1) },
    },
  ],
  [
    'complete',
    'a connection that stays open receives every message',
    {
      operations: [send(1, 10)],
      observations: [joined('bob', 0), got('bob', 1, 30), got('bob', 1, 40)],
      final: { messages: stored(1) },
    },
    { operations: [send(1, 10)], observations: [joined('bob', 0)], final: { messages: stored(1) } },
  ],
  [
    'complete',
    'a connection that was lost received everything until then',
    {
      operations: [send(1, 10), send(2, 100)],
      observations: [joined('bob', 0), got('bob', 1, 30), { type: 'lost', at: 50 }],
      final: { messages: stored(1, 2) },
    },
    {
      operations: [send(1, 10), send(2, 100)],
      observations: [joined('bob', 0), got('bob', 2, 130), { type: 'lost', at: 150 }],
      final: { messages: stored(1, 2) },
    },
  ],
  [
    'complete',
    'a connection that joins again after its user was removed was not joined throughout',
    {
      operations: [
        send(1, 10),
        { kind: 'remove', target: 'bob', invoked: 12 },
        { kind: 'add', target: 'bob', invoked: 20 },
        { kind: 'join', user: 'bob', client: 'bob', invoked: 25 },
        send(2, 50),
      ],
      observations: [joined('bob', 0), got('bob', 2, 60)],
      final: { messages: stored(1, 2) },
    },
    {
      operations: [
        send(1, 10),
        { kind: 'remove', target: 'carol', invoked: 12 },
        { kind: 'add', target: 'carol', invoked: 20 },
        { kind: 'join', user: 'bob', client: 'bob', invoked: 25 },
        send(2, 50),
      ],
      observations: [joined('bob', 0), got('bob', 2, 60)],
      final: { messages: stored(1, 2) },
    },
  ],
  [
    'complete',
    'a gap is recognized by the order on another connection',
    {
      operations: [send(1, 10), send(2, 15)],
      observations: [
        joined('bob', 0),
        joined('carol', 0),
        got('carol', 2, 30, {}),
        got('carol', 1, 31),
        got('bob', 2, 30),
        { type: 'lost', at: 50 },
      ],
      final: { messages: stored(1, 2) },
    },
    {
      operations: [send(1, 10), send(2, 15)],
      observations: [
        joined('bob', 0),
        joined('carol', 0),
        got('carol', 2, 30),
        got('carol', 1, 31),
        got('bob', 1, 30),
        { type: 'lost', at: 50 },
      ],
      final: { messages: stored(1, 2) },
    },
  ],
  [
    'complete',
    'the SDK delivers what was missed during an outage',
    {
      operations: [send(1, 10)],
      observations: [
        joined('bob', 0, { via: 'sdk' }),
        { type: 'lost', via: 'sdk', at: 5 },
        got('bob', 1, 100, { via: 'sdk' }),
        joined('bob', 101, { via: 'sdk', stream: 'bob#2' }),
      ],
      final: { messages: stored(1) },
    },
    {
      operations: [send(1, 10)],
      observations: [
        joined('bob', 0, { via: 'sdk' }),
        { type: 'lost', via: 'sdk', at: 5 },
        joined('bob', 101, { via: 'sdk', stream: 'bob#2' }),
      ],
      final: { messages: stored(1) },
    },
  ],
  [
    'complete',
    'the SDK delivers what was acknowledged before the end, within the accuracy of clocks',
    {
      operations: [end, send(1, 30_000, { settled: 50_100 })],
      observations: [joined('bob', 0, { via: 'sdk' }), closedByEnd],
      final: { ...ended, messages: stored(1) },
      skew: 4_000,
    },
    {
      operations: [end, send(1, 30_000, { settled: 45_000 })],
      observations: [joined('bob', 0, { via: 'sdk' }), closedByEnd],
      final: { ...ended, messages: stored(1) },
      skew: 4_000,
    },
  ],
  [
    'genuine',
    'a rejected edit is not received',
    ofChanges([refusedEdit], [], endsAs('k1', null)),
    ofChanges([refusedEdit], [saw('e1', 1, 130)], endsAs('k1', null)),
  ],
  [
    'genuine',
    'a rejected edit is not in the history',
    ofChanges([edit(1, 1, 100)], [saw('e1', 1, 130)], endsAs('e1', 1)),
    ofChanges([refusedEdit], [], endsAs('e1', null)),
  ],
  [
    'genuine',
    'only deletions that were requested are received',
    ofChanges([deletion(1, 100, { outcome: 'unknown' })], [saw(null, 1, 130)], endsAs(null, 1)),
    ofChanges([deletion(1, 200, { outcome: 'unknown' })], [saw(null, 1, 130)], endsAs(null, 1)),
  ],
  [
    'changes',
    'the last acknowledged edit is in the history',
    ofChanges([edit(1, 1, 100), edit(2, 2, 200)], [saw('e2', 2, 230)], endsAs('e2', 2)),
    ofChanges([edit(1, 1, 100), edit(2, 2, 200)], [saw('e2', 2, 230)], endsAs('e1', 2)),
  ],
  [
    'changes',
    'an acknowledged edit is not lost',
    ofChanges([edit(1, 1, 100, { outcome: 'unknown' })], [], endsAs('k1', null)),
    ofChanges([edit(1, 1, 100, { change: undefined })], [], endsAs('k1', null)),
  ],
  [
    'changes',
    'the number of a message’s last change does not decrease',
    ofChanges([edit(1, 1, 100)], [saw('e1', 1, 130)], endsAs('e1', 1)),
    ofChanges([edit(1, 2, 100)], [saw('e1', 2, 130)], endsAs('e1', 1)),
  ],
  [
    'changes',
    'of two simultaneous edits, the one with the higher number counts',
    ofChanges([edit(1, 2, 100), edit(2, 1, 101)], [saw('e1', 2, 130)], endsAs('e1', 2)),
    ofChanges([edit(1, 2, 100), edit(2, 1, 101)], [saw('e1', 2, 130)], endsAs('e2', 2)),
  ],
  [
    'changes',
    'the history contains the user who deleted a message',
    ofChanges([deletion(1, 100)], [saw(null, 1, 130)], endsAs(null, 1)),
    ofChanges([deletion(1, 100, { user: 'carol' })], [saw(null, 1, 130)], endsAs(null, 1)),
  ],
  [
    'changes',
    'the feed contains each changed message',
    ofChanges([edit(1, 1, 100)], [saw('e1', 1, 130)], endsAs('e1', 1)),
    ofChanges([edit(1, 1, 100)], [saw('e1', 1, 130)], endsAs('e1', 1, { changes: [] })),
  ],
  [
    'changes',
    'a connection that stays open receives each change, or a later one of the same message',
    ofChanges([edit(1, 1, 100), deletion(2, 101)], [saw(null, 2, 130)], endsAs(null, 2)),
    ofChanges([edit(1, 1, 100), deletion(2, 101)], [saw('e1', 1, 130)], endsAs(null, 2)),
  ],
  [
    'changes',
    'a message that is deleted again does not change',
    ofChanges([deletion(1, 20), deletion(1, 100)], [joined('bob', 90, { stream: 'bob/2' })], endsAs(null, 1)),
    ofChanges([deletion(1, 95), deletion(1, 100)], [joined('bob', 90, { stream: 'bob/2' })], endsAs(null, 1)),
  ],
  [
    'changes',
    'the state of the SDK is the same as the history, also after an outage',
    ofChanges(
      [edit(1, 1, 100)],
      [{ type: 'lost', at: 50, ...sdk }, joined('bob', 200, { ...sdk, stream: 'bob#2' }), saw('e1', 1, 201, sdk)],
      endsAs('e1', 1),
      'sdk',
    ),
    ofChanges(
      [edit(1, 1, 100)],
      [{ type: 'lost', at: 50, ...sdk }, joined('bob', 200, { ...sdk, stream: 'bob#2' })],
      endsAs('e1', 1),
      'sdk',
    ),
  ],
  [
    'changes',
    'an application that joins again catches up with changes from before',
    ofChanges([deletion(1, 100)], [...awayAndBack, saw(null, 1, 201, sdk)], endsAs(null, 1), 'sdk'),
    ofChanges([deletion(1, 100)], awayAndBack, endsAs(null, 1), 'sdk'),
  ],
  [
    'changes',
    'a change without a response may be received',
    ofChanges([edit(1, 1, 100, { outcome: 'unknown' })], [saw('e1', 1, 130, sdk)], endsAs('e1', 1), 'sdk'),
    ofChanges([edit(1, 1, 100, { outcome: 'unknown' })], [], endsAs('e1', 1), 'sdk'),
  ],
  [
    'changes',
    'the SDK delivers a change once, and never after a later one',
    ofChanges(
      [edit(1, 1, 100)],
      [saw('e1', 1, 130, sdk), ...awayAndBack, saw('e1', 1, 201, sdk)],
      endsAs('e1', 1),
      'sdk',
    ),
    ofChanges([edit(1, 1, 100)], [saw('e1', 1, 130, sdk), saw('e1', 1, 131, sdk)], endsAs('e1', 1), 'sdk'),
  ],
  [
    'changes',
    'the SDK delivers what was changed before the end, within the accuracy of clocks',
    {
      ...ofChanges([end, edit(1, 1, 47_000)], [closedByEnd], endsAs('e1', 1, ended), 'sdk'),
      skew: 4_000,
    },
    {
      ...ofChanges([end, edit(1, 1, 45_000)], [closedByEnd], endsAs('e1', 1, ended), 'sdk'),
      skew: 4_000,
    },
  ],
  [
    'deleted',
    'a deleted message stays deleted',
    ofChanges(
      [deletion(1, 100), edit(1, 2, 200, { outcome: 'fail', code: 'message_deleted' })],
      [saw(null, 1, 130)],
      endsAs(null, 1),
    ),
    ofChanges([deletion(1, 100), edit(1, 2, 200)], [saw('e1', 2, 230)], endsAs('e1', 2)),
  ],
  [
    'deleted',
    'a deleted message has no file',
    { operations: [...sendsFile, deletion(1, 500)], observations: [], final: endsAs(null, 1) },
    {
      operations: [...sendsFile, deletion(1, 500)],
      observations: [],
      final: endsAs(null, 1, {
        messages: [
          {
            message_id: 'm1',
            sender: 'alice',
            key: 'k1',
            sent: 0,
            text: null,
            change: 1,
            deletedBy: 'alice',
            file: 'f1',
          },
        ],
      }),
    },
  ],
  [
    'deleted',
    'a file is deleted with its message',
    {
      ...ofFile([deletion(1, 390), download(undefined, { outcome: 'fail', code: 'file_not_found' })], endsAs(null, 1)),
      observations: [gotFile],
    },
    { ...ofFile([deletion(1, 380), download('A')], endsAs(null, 1)), observations: [gotFile] },
  ],
  [
    'deleted',
    'a text that was deleted is not sent later',
    ofChanges([deletion(1, 100)], [saw(null, 1, 130), saw('k1', null, 110 + BOUNDS.deleted)], endsAs(null, 1)),
    ofChanges([deletion(1, 100)], [saw(null, 1, 130), saw('k1', null, 111 + BOUNDS.deleted)], endsAs(null, 1)),
  ],
  [
    'removal',
    'a removed user cannot edit',
    {
      ...ofChanges([{ ...remove, target: 'alice' }, edit(1, 1, 2_000, { outcome: 'fail' })], [], endsAs('k1', null)),
      ...{ final: endsAs('k1', null, { participants: [{ user: 'bob', admin: true, online: true }] }) },
    },
    ofChanges(
      [{ ...remove, target: 'alice' }, edit(1, 1, 2_000)],
      [saw('e1', 1, 2_030)],
      endsAs('e1', 1, { participants: [{ user: 'bob', admin: true, online: true }] }),
    ),
  ],
  [
    'end',
    'a message is not edited after the end',
    { operations: [end, send(1, 10), edit(1, 1, 49_000)], final: endsAs('e1', 1, ended) },
    { operations: [end, send(1, 10), edit(1, 1, 60_000)], final: endsAs('e1', 1, ended) },
  ],
  [
    'converges',
    'acknowledged read marks are stored',
    {
      operations: [{ kind: 'mark', user: 'bob', message_id: 'm1' }],
      final: {
        participants: [
          { user: 'alice', admin: true, online: false },
          { user: 'bob', admin: false, online: false, read: 'm2' },
        ],
      },
    },
    {
      operations: [{ kind: 'mark', user: 'bob', message_id: 'm1' }],
      final: {
        participants: [
          { user: 'alice', admin: true, online: false },
          { user: 'bob', admin: false, online: false, read: null },
        ],
      },
    },
  ],
  [
    'order',
    'two connections receive messages in the same order',
    {
      operations: [send(1, 10), send(2, 10)],
      observations: [
        joined('bob', 0),
        joined('carol', 0),
        ...['bob', 'carol'].flatMap((user) => [got(user, 2, 30), got(user, 1, 31)]),
      ],
      final: { messages: stored(1, 2) },
    },
    {
      operations: [send(1, 10), send(2, 10)],
      observations: [
        joined('bob', 0),
        joined('carol', 0),
        got('bob', 2, 30),
        got('bob', 1, 31),
        got('carol', 1, 30),
        got('carol', 2, 31),
      ],
      final: { messages: stored(1, 2) },
    },
  ],
  [
    'order',
    'a message that was acknowledged before another was sent comes first',
    {
      operations: [send(1, 10), send(2, 30)],
      observations: [joined('bob', 0), got('bob', 1, 50), got('bob', 2, 51)],
      final: { messages: stored(1, 2) },
    },
    {
      operations: [send(1, 10), send(2, 30)],
      observations: [joined('bob', 0), got('bob', 2, 50), got('bob', 1, 51)],
      final: { messages: stored(1, 2) },
    },
  ],
  [
    'order',
    'the SDK delivers own messages in order with those of others',
    {
      operations: [send(1, 10), send(2, 30, { user: 'bob' })],
      observations: [
        joined('bob', 0, { via: 'sdk' }),
        got('bob', 1, 50, { via: 'sdk' }),
        got('bob', 2, 51, { via: 'sdk', sender: 'bob' }),
      ],
      final: { messages: [...stored(1), { message_id: 'm2', sender: 'bob', key: 'k2', sent: 0 }] },
    },
    {
      operations: [send(1, 10), send(2, 30, { user: 'bob' })],
      observations: [
        joined('bob', 0, { via: 'sdk' }),
        got('bob', 2, 50, { via: 'sdk', sender: 'bob' }),
        got('bob', 1, 51, { via: 'sdk' }),
      ],
      final: { messages: [...stored(1), { message_id: 'm2', sender: 'bob', key: 'k2', sent: 0 }] },
    },
  ],
  [
    'removal',
    'a removed user receives nothing',
    {
      operations: [remove],
      observations: [joined('bob', 0), { type: 'room_updated', at: 5_000 }, { type: 'lost', at: 5_001 }],
      final: { participants: withoutBob },
    },
    {
      operations: [remove],
      observations: [
        joined('bob', 0),
        { type: 'room_updated', at: 1_010 + BOUNDS.removal + 1 },
        { type: 'lost', at: 20_000 },
      ],
      final: { participants: withoutBob },
    },
  ],
  [
    'removal',
    'a removed user cannot send until they are added again',
    {
      operations: [remove, { kind: 'add', target: 'bob', invoked: 5_000 }, send(1, 6_000, { user: 'bob' })],
      final: { messages: [{ message_id: 'm1', sender: 'bob', key: 'k1', sent: 0 }] },
    },
    {
      operations: [remove, send(1, 2_000, { user: 'bob' })],
      final: { messages: [{ message_id: 'm1', sender: 'bob', key: 'k1', sent: 0 }], participants: withoutBob },
    },
  ],
  [
    'end',
    'a message that is sent after the end is rejected',
    {
      operations: [
        end,
        send(1, 60_000, { outcome: 'fail', code: 'room_ended', message_id: undefined }),
        // The message was sent before the end, and acknowledged later.
        send(2, 49_990, { outcome: 'unknown', message_id: undefined }),
        send(2, 60_000),
      ],
      final: { ...ended, messages: stored(2) },
    },
    { operations: [end, send(1, 60_000)], final: { ...ended, messages: stored(1) } },
  ],
  [
    'announced',
    'clients receive the end',
    {
      operations: [end],
      observations: [joined('bob', 0), { type: 'closed', at: 55_000, reason: 'room_ended' }],
      final: ended,
    },
    {
      operations: [end],
      observations: [joined('bob', 0), { type: 'closed', at: 50_011 + BOUNDS.announced, reason: 'room_ended' }],
      final: ended,
    },
  ],
  [
    'converges',
    'the status is the one for the current time',
    { final: { starts: 0, status: 'started' } },
    { final: { starts: 0, status: 'booked' } },
  ],
  [
    'converges',
    'a user who has joined is online',
    { observations: [joined('bob', 0)] },
    {
      observations: [joined('bob', 0)],
      final: { participants: ['alice', 'bob'].map((user) => ({ user, admin: user === 'alice', online: false })) },
    },
  ],
  [
    'converges',
    'a user who has not joined is offline',
    { observations: [joined('bob', 0), { type: 'lost', at: 10 }] },
    {
      observations: [joined('bob', 0), { type: 'lost', at: 10 }],
      final: {
        participants: ['alice', 'bob'].map((user) => ({ user, admin: user === 'alice', online: user === 'bob' })),
      },
    },
  ],
  [
    'converges',
    'the connections of a room that has ended may be deleted later',
    {
      operations: [end],
      observations: [joined('bob', 0), { type: 'lost', at: 51_000 }],
      final: {
        ...ended,
        sockets: ['bob/1'],
        participants: [
          { user: 'alice', admin: true, online: false },
          { user: 'bob', admin: false, online: true },
        ],
      },
    },
    {
      operations: [end],
      observations: [joined('bob', 0), { type: 'lost', at: 51_000 }],
      final: {
        ...ended,
        read: 51_000 + BOUNDS.presence,
        participants: [
          { user: 'alice', admin: true, online: false },
          { user: 'bob', admin: false, online: true },
        ],
      },
    },
  ],
  [
    'converges',
    'the schedules match the times of the room',
    { final: { ends: END + 3_600_000, schedules: { end: END + 3_600_000 } } },
    { final: { ends: END + 3_600_000, schedules: { end: END + 60_000 } } },
  ],
  [
    'converges',
    'the last request about a participant counts',
    { operations: [remove], final: { participants: withoutBob } },
    { operations: [remove] },
  ],
  [
    'converges',
    'the table contains no connection that is closed',
    { observations: [joined('bob', 0)] },
    { observations: [joined('bob', 0)], final: { sockets: ['bob/1', 'bob/0'] } },
  ],
  ['admin', 'a room has an admin', { samples: [sample(0, [])] }, { samples: [sample(0, []), sample(1_000, [], [])] }],
  [
    'known',
    'the table contains every joined connection',
    {
      observations: [joined('bob', 0)],
      // The table may lack a connection briefly while that is being closed.
      samples: samplesOf(['bob/1']).map((each, n) => (n === 5 ? sample(each.at, []) : each)),
    },
    { observations: [joined('bob', 0), { type: 'lost', at: 40_000 }], samples: samplesOf([]) },
  ],
  [
    'settles',
    'a call succeeds or fails',
    { operations: [{ kind: 'read', outcome: 'unknown', code: '504' }] },
    { operations: [{ kind: 'read', outcome: 'pending' }] },
  ],
  [
    'settles',
    'a call that started after the last check may last until its time limit',
    { operations: [{ kind: 'read', outcome: 'pending', invoked: END + 100 }], samples: [sample(END + 30_100, [])] },
    { operations: [{ kind: 'read', outcome: 'pending', invoked: END + 100 }], samples: [sample(END + 30_101, [])] },
  ],
  [
    'settles',
    'a call succeeds or fails within its time limit',
    { operations: [{ kind: 'read', invoked: 0, settled: 30_000 }] },
    { operations: [{ kind: 'read', invoked: 0, settled: 30_001 }] },
  ],
  [
    'settles',
    'a frame receives a reply',
    { operations: [{ kind: 'join', outcome: 'unknown', code: 'gateway' }] },
    { operations: [{ kind: 'join', outcome: 'unknown', code: 'no_reply' }] },
  ],
];

test.each(cases)('%s: %s', (property, _, good, bad) => {
  expect(check(history(good))).toEqual([]);
  expect([...new Set(check(history(bad)).map((each) => each.property))]).toEqual([property]);
});

test('every property has a history that breaks it', () => {
  expect([...new Set(cases.map(([property]) => property))].toSorted()).toEqual(propertyNames.toSorted());
});

test('clock differences excuse only what they can explain', () => {
  const late = { operations: [end, send(1, 53_000)], final: { ...ended, messages: stored(1) } };
  expect(check(history({ ...late, skew: 4_000 }))).toEqual([]);
  expect(check(history({ ...late, skew: 2_000 }))).toMatchObject([{ property: 'end' }]);
});

test('a removal that overlaps with an addition leaves the order open', () => {
  const operations: Partial<Operation>[] = [
    { kind: 'remove', target: 'bob', invoked: 1_000, settled: 1_500 },
    { kind: 'add', target: 'bob', invoked: 1_200, settled: 1_400 },
  ];
  expect(check(history({ operations }))).toEqual([]);
  expect(check(history({ operations, final: { participants: withoutBob } }))).toEqual([]);
});

test('a state that could not be read is not accepted', () => {
  const { final: _, ...unread } = history({});
  expect(check(unread)).toMatchObject([{ property: 'converges' }]);
});
