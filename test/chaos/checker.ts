import type { FinalRoom, History, Observation, Operation } from './history.ts';

/*
 * Checks whether the service has kept its guarantees over a whole history. Pure: takes a history, returns violations.
 * The result of a call without a response is unknown, so both results are allowed. Known results must be consistent
 * with everything that other clients saw.
 */

export const PROPERTIES = {
  stored: 'an acknowledged message is in the history of its room, once',
  genuine: 'no message or edit appears that was never sent, or was rejected',
  once: 'the client SDK delivers a message once',
  complete: 'every message reaches every client that stayed joined, and no connection misses one in between',
  order: 'all connections receive the messages of a room in the same order',
  changes: 'an acknowledged edit or deletion is in the history, and reaches every client that has joined',
  deleted: 'deleted content does not appear again',
  files: 'a file always has the content that its sender uploaded',
  removal: 'a removed user receives nothing and sends nothing after the response to the removal',
  end: 'no message or edit is acknowledged that was sent after the end of its room',
  announced: 'every client that has joined a room receives its end',
  converges: 'status, presence, schedules, members and connections are right after the faults have stopped',
  admin: 'a room always has an admin',
  known: 'the table contains every open socket whose client believes that it has joined',
  settles: 'every call succeeds or fails within its time limit',
} as const;
export type Property = keyof typeof PROPERTIES;

export interface Violation {
  readonly property: Property;
  readonly room?: string | undefined;
  readonly text: string;
}

/**
 * The guaranteed limits, in milliseconds. During faults, they start when the longest fault ends: if a stream batch is
 * delayed by 3 seconds, its effects are, too.
 */
export const BOUNDS = {
  /** From the response to a removal until the user's sockets are closed, or receive nothing more of the room. */
  removal: 10_000,
  /**
   * From the response to a deletion until no connection receives the text any longer. For 5 seconds, a new message is
   * sent without reading it again.
   */
  deleted: 10_000,
  /** From the end of a room until its clients are informed. EventBridge Scheduler is accurate to the minute. */
  announced: 45_000,
  /** How long a socket can be open without an item in the table, while it is being closed. */
  unknown: 10_000,
  /**
   * From an unreported loss of a connection until its user is shown as offline, in a room without messages. A message
   * to the room detects the loss at once.
   */
  presence: 330_000,
  /** From the start or end of a room until its schedule is deleted. */
  schedule: 20_000,
} as const;

/** The period in which a client considers itself joined to a room, on one stream of deliveries. */
interface Belief {
  readonly stream: string;
  readonly room: string;
  readonly user: string;
  readonly via: 'raw' | 'sdk';
  readonly socket: string | undefined;
  readonly from: number;
  /** Infinity if the period has not ended. */
  to: number;
}

function beliefsOf(observations: readonly Observation[]): Belief[] {
  const open = new Map<string, Belief>();
  const all: Belief[] = [];
  for (const { type, stream, room, user, via, socket, at, client } of observations) {
    const id = `${client} ${room}`;
    if (type === 'joined' && stream !== undefined) {
      const before = open.get(id);
      if (before && before.stream === stream) continue;
      if (before) before.to = at;
      const belief: Belief = { stream, room, user, via, socket, from: at, to: Number.POSITIVE_INFINITY };
      open.set(id, belief);
      all.push(belief);
    }
    const ended = type === 'lost' || type === 'closed' ? open.get(id) : undefined;
    if (ended && (stream === undefined || stream === ended.stream)) {
      ended.to = at;
      open.delete(id);
    }
  }
  return all;
}

const isOpen = ({ to }: Belief): boolean => to === Number.POSITIVE_INFINITY;
const settledAt = ({ settled }: Operation): number => settled ?? Number.POSITIVE_INFINITY;
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** A message as a client received it, as a new, edited or deleted message, or from the history. */
interface Version {
  readonly message_id: string;
  /** Null if the message is deleted. */
  readonly text: string | null;
  readonly change: number;
}

type Versioned = Pick<Observation, 'message_id' | 'text' | 'change'>;
const versionOf = ({ message_id, text, change }: Versioned): Version | undefined =>
  message_id === undefined || text === undefined ? undefined : { message_id, text, change: change ?? 0 };

type MessageSeen = Observation & { readonly message_id: string };
const isMessage = (each: Observation): each is MessageSeen => each.type === 'message' && each.message_id !== undefined;

/** Removes repeated messages, which a connection may receive after a failure of the service. */
function firsts(messages: readonly MessageSeen[]): MessageSeen[] {
  const seen = new Set<string>();
  return messages.filter(({ message_id }) => !seen.has(message_id) && seen.add(message_id));
}

/** The data that all checks share. */
interface View {
  readonly history: History;
  readonly operations: readonly Operation[];
  /** One entry per message, regardless of the number of attempts. */
  readonly sends: readonly Operation[];
  readonly beliefs: readonly Belief[];
  /** By stream and room: the messages that were sent after the join, in order of arrival, without duplicates. */
  readonly streams: ReadonlyMap<string, readonly MessageSeen[]>;
  /** The send operation of each message, by message ID. Missing if the ID is unknown. */
  readonly sendOf: ReadonlyMap<string, Operation>;
  readonly rooms: readonly (readonly [string, FinalRoom])[];
  /** Edits and deletions that were not rejected, by message ID. */
  readonly changesOf: ReadonlyMap<string, readonly Operation[]>;
  /** The messages with each file, by file ID. */
  readonly messagesWith: ReadonlyMap<string, ReadonlySet<string>>;
}

const streamKey = ({ stream, room }: Pick<Belief, 'stream' | 'room'>): string => `${stream} ${room}`;
const sendKey = (room: string | undefined, sender: string | undefined, key: string | undefined): string =>
  `${room} ${sender} ${key}`;

/**
 * The combined outcome of all attempts of a message. It was sent with the first attempt, stored when the first
 * acknowledgment arrived, and rejected only if every attempt was.
 */
function merged(tries: readonly Operation[]): Operation[] {
  const [first] = tries.toSorted((a, b) => a.invoked - b.invoked);
  if (!first) return [];
  const [done] = tries.filter(({ outcome }) => outcome === 'ok').toSorted((a, b) => settledAt(a) - settledAt(b));
  const { settled: _, ...sent } = first;
  if (done) return [{ ...done, invoked: first.invoked }];
  return [tries.every(({ outcome }) => outcome === 'fail') ? first : { ...sent, outcome: 'unknown' }];
}

function viewOf(history: History): View {
  const { operations, observations, final } = history;
  const tries = Map.groupBy(
    operations.filter(({ kind }) => kind === 'send'),
    (each) => sendKey(each.room, each.user, each.key),
  );
  const sends = [...tries.values()].flatMap(merged);
  const messages = observations.filter(isMessage);
  // If messages are late, the SDK reads them from the history, whose order depends on the clocks of the service.
  const live = messages.filter(
    (each): each is MessageSeen & { stream: string } =>
      each.stream !== undefined && (each.via === 'raw' || history.skew === 0),
  );
  const byKey = new Map(sends.map((each) => [sendKey(each.room, each.user, each.key), each]));
  const sendOf = new Map<string, Operation>();
  for (const { message_id, room, sender, key } of messages) {
    const send = byKey.get(sendKey(room, sender, key));
    if (send) sendOf.set(message_id, send);
  }
  for (const each of sends) if (each.message_id !== undefined) sendOf.set(each.message_id, each);
  for (const [room, { messages: stored }] of Object.entries(final?.rooms ?? {}))
    for (const { message_id, sender, key } of stored) {
      const send = byKey.get(sendKey(room, sender, key));
      if (send) sendOf.set(message_id, send);
    }
  const beliefs = beliefsOf(observations);
  const joined = new Map(beliefs.map((each) => [streamKey(each), each.from]));
  // Messages from before the join can arrive late and repeatedly, so their order is not checked.
  const streams = new Map(
    [...Map.groupBy(live, streamKey)].map(([key, all]) => {
      const from = joined.get(key) ?? Number.POSITIVE_INFINITY;
      return [key, firsts(all).filter(({ message_id }) => (sendOf.get(message_id)?.invoked ?? 0) > from)] as const;
    }),
  );
  const changesOf = Map.groupBy(
    operations.filter(({ kind, outcome }) => (kind === 'edit' || kind === 'delete') && outcome !== 'fail'),
    ({ message_id }) => message_id ?? '',
  );
  const messagesWith = new Map<string, Set<string>>();
  for (const [message_id, { file }] of sendOf)
    if (file !== undefined) messagesWith.set(file, (messagesWith.get(file) ?? new Set()).add(message_id));
  return {
    history,
    operations,
    sends,
    beliefs,
    streams,
    sendOf,
    rooms: Object.entries(final?.rooms ?? {}),
    changesOf,
    messagesWith,
  };
}

const deletionsOf = ({ changesOf }: View, message_id: string): readonly Operation[] =>
  (changesOf.get(message_id) ?? []).filter(({ kind }) => kind === 'delete');

/** When the first deletion of a message was acknowledged. Infinity if none was. */
const deletedAt = (view: View, message_id: string): number =>
  Math.min(
    ...deletionsOf(view, message_id)
      .filter(({ outcome }) => outcome === 'ok')
      .map(settledAt),
  );

type Check = (view: View) => Generator<Omit<Violation, 'property'>>;

function* stored({ operations, rooms }: View): ReturnType<Check> {
  for (const [room, { messages }] of rooms) {
    const byId = Map.groupBy(messages, ({ message_id }) => message_id);
    for (const [message_id, same] of byId)
      if (same.length > 1) yield { room, text: `${message_id} is in the history ${same.length} times` };
    for (const [key, same] of Map.groupBy(messages, (each) => sendKey(room, each.sender, each.key)))
      if (same.length > 1)
        yield { room, text: `${key} was sent once and stored as ${same.map((each) => each.message_id).join(', ')}` };
    for (const send of operations) {
      if (send.kind !== 'send' || send.room !== room || send.outcome !== 'ok') continue;
      const [found] = byId.get(send.message_id ?? '') ?? [];
      if (!found) yield { room, text: `${send.key} was acknowledged as ${send.message_id}, which is not stored` };
      else if (found.key !== send.key || found.sender !== send.user)
        yield { room, text: `${send.key} was acknowledged as ${send.message_id}, which is ${found.key}` };
    }
  }
}

function* genuine(view: View): ReturnType<Check> {
  const { history, operations, sends, rooms } = view;
  const byKey = new Map(sends.map((each) => [sendKey(each.room, each.user, each.key), each]));
  const all = [
    ...history.observations.filter(isMessage),
    ...rooms.flatMap(([room, { messages }]) => messages.map((each) => ({ room, ...each }))),
  ];
  const reported = new Set<string>();
  for (const { room, sender, key, message_id } of all) {
    const send = byKey.get(sendKey(room, sender, key));
    if ((send && send.outcome !== 'fail') || reported.has(message_id)) continue;
    reported.add(message_id);
    yield {
      room,
      text: `${message_id} (${key} of ${sender}) was ${send ? `refused with ${send.code}` : 'never sent'}`,
    };
  }
  const seen = [
    ...history.observations,
    ...rooms.flatMap(([room, { messages }]) =>
      messages.map((each) => ({ room, at: Number.POSITIVE_INFINITY, ...each })),
    ),
  ];
  for (const { room, key, at, ...each } of seen) {
    const version = versionOf(each);
    if (!version || version.text === key) continue;
    const { message_id, text } = version;
    const made = operations.filter(
      ({ kind, ...made }) =>
        made.message_id === message_id && (text === null ? kind === 'delete' : kind === 'edit' && made.text === text),
    );
    const what = `${message_id} (${key})${text === null ? ' as deleted' : ` with the text ${text}`}`;
    if (reported.has(what) || made.some(({ outcome, invoked }) => outcome !== 'fail' && invoked <= at)) continue;
    reported.add(what);
    yield { room, text: `${what} was seen, which was ${made[0] ? `refused with ${made[0].code}` : 'never asked for'}` };
  }
}

function* once({ history }: View): ReturnType<Check> {
  const bySession = Map.groupBy(
    history.observations.filter(({ via, type }) => via === 'sdk' && ['message', 'joined', 'closed'].includes(type)),
    ({ client, room }) => `${client} ${room}`,
  );
  for (const [session, all] of bySession) {
    const seen = new Set<string>();
    for (const each of all) {
      // After a room was closed, joining it again starts a new session for the application.
      if (each.type === 'closed') seen.clear();
      if (!isMessage(each)) continue;
      if (seen.has(each.message_id))
        yield { room: each.room, text: `${session} was given ${each.message_id} (${each.key}) twice` };
      seen.add(each.message_id);
    }
  }
}

/** The messages of a room that are known to be stored, with their send operations. */
function knownMessages({ sends, sendOf, history }: View, room: string): Map<string, Operation> {
  const known = new Map<string, Operation>();
  for (const send of sends)
    if (send.room === room && send.outcome === 'ok' && send.message_id !== undefined) known.set(send.message_id, send);
  for (const { message_id, room: of } of history.observations.filter(isMessage)) {
    const send = of === room ? sendOf.get(message_id) : undefined;
    if (send) known.set(message_id, send);
  }
  return known;
}

/**
 * The start of a connection's last uninterrupted period in a room. A removal interrupts it: if the connection joins
 * again before it is closed, the client reads what it has missed, as after any join.
 */
function joinedForGood({ history: { operations } }: View, { room, user, stream, from }: Belief): number {
  const here = operations.filter((each) => each.room === room && each.invoked > from && each.outcome !== 'fail');
  const removed = here.find((each) => each.kind === 'remove' && each.target === user);
  if (!removed) return from;
  const joins = here.filter(
    (each) => each.kind === 'join' && stream.startsWith(`${each.client}/`) && each.invoked > removed.invoked,
  );
  return Math.max(from, ...joins.map(settledAt).filter(Number.isFinite));
}

function* complete(view: View): ReturnType<Check> {
  const { history, beliefs, streams } = view;
  const rooms = new Map([...new Set(beliefs.map(({ room }) => room))].map((room) => [room, knownMessages(view, room)]));
  const streamsOf = Map.groupBy(streams.entries(), ([key]) => key.slice(key.indexOf(' ') + 1));

  // On a WebSocket: received messages have no gaps, and an open connection receives everything.
  for (const belief of beliefs) {
    if (belief.via !== 'raw') continue;
    const known = rooms.get(belief.room) ?? new Map<string, Operation>();
    const got = streams.get(streamKey(belief)) ?? [];
    const has = new Set(got.map(({ message_id }) => message_id));
    const from = joinedForGood(view, belief);
    const wanted = [...known].filter(([id, send]) => send.invoked > from && !has.has(id));
    if (wanted.length === 0) continue;
    const newest = Math.max(0, ...got.map(({ message_id }) => known.get(message_id)?.invoked ?? 0));
    const before = new Set<string>();
    for (const [, other] of streamsOf.get(belief.room) ?? []) {
      const last = other.findLastIndex(({ message_id }) => has.has(message_id));
      for (const { message_id } of other.slice(0, Math.max(0, last))) before.add(message_id);
    }
    const gap = wanted.find(([id, send]) => settledAt(send) < newest || before.has(id));
    const missing = gap ?? (isOpen(belief) && history.final ? wanted[0] : undefined);
    if (missing)
      yield {
        room: belief.room,
        text: `${belief.stream} has been joined since ${seconds(belief.from)}, and got ${gap ? 'later messages, but not' : 'everything up to, but not,'} ${missing[0]} (${missing[1].key}, sent at ${seconds(missing[1].invoked)})`,
      };
  }

  // With the SDK: every message after the join, despite outages.
  for (const session of sdkSessions(history)) {
    if (session.end !== undefined && session.end.reason !== 'room_ended') continue;
    // With different clocks, one function may accept a message although the room has ended by the clock of another.
    const over = session.end === undefined ? Number.POSITIVE_INFINITY : session.end.at - history.skew;
    const known = rooms.get(session.room) ?? new Map<string, Operation>();
    const missing = [...known].filter(
      // The SDK sends queued messages late. Only those acknowledged before the end must be delivered.
      ([id, send]) =>
        send.invoked > session.from &&
        (session.end === undefined || settledAt(send) < over) &&
        !session.messages.includes(id),
    );
    const [first] = missing;
    if (first && history.final)
      yield {
        room: session.room,
        text: `${session.client} joined at ${seconds(session.from)}, and was never given ${missing.length} messages, such as ${first[0]} (${first[1].key}, sent at ${seconds(first[1].invoked)})`,
      };
  }
}

interface Session {
  readonly client: string;
  readonly room: string;
  readonly from: number;
  /** When the room was closed, and why. Undefined while it is open. */
  end?: { readonly at: number; readonly reason: string } | undefined;
  /** In the order of delivery to the application. */
  readonly messages: string[];
}

/** What the SDK's applications received of a room, for each period from a join until the room was closed. */
function sdkSessions({ observations }: History): Session[] {
  const open = new Map<string, Session>();
  const all: Session[] = [];
  for (const each of observations) {
    if (each.via !== 'sdk') continue;
    const id = `${each.client} ${each.room}`;
    let session = open.get(id);
    if (each.type === 'joined' && !session) {
      session = { client: each.client, room: each.room, from: each.at, messages: [] };
      open.set(id, session);
      all.push(session);
    }
    if (isMessage(each)) session?.messages.push(each.message_id);
    if (each.type === 'closed' && session) {
      session.end = { at: each.at, reason: each.reason ?? 'closed' };
      open.delete(id);
    }
  }
  return all;
}

/** Whether one edit or deletion certainly happened before another. */
const isBefore = (a: Operation, b: Operation): boolean => a.outcome === 'ok' && settledAt(a) < b.invoked;

function* changes(view: View): ReturnType<Check> {
  for (const [room, { messages, changes: feed }] of view.rooms) {
    for (const each of messages) {
      const version = versionOf(each);
      const made = view.changesOf.get(each.message_id) ?? [];
      if (version) for (const text of wrongVersion(each, version, made)) yield { room, text };
    }
    const listed = (list: readonly { message_id: string; change?: number | null | undefined }[]): string =>
      list.flatMap(({ message_id, change }) => (change ? `${message_id} at ${change}` : [])).join(', ');
    const expected = listed(messages.toSorted((a, b) => (a.change ?? 0) - (b.change ?? 0)));
    if (feed && listed(feed) !== expected)
      yield { room, text: `the feed of changes has ${listed(feed) || 'nothing'}, but should have ${expected}` };
  }
  yield* changesOnConnections(view);
  yield* changesInApplications(view);
}

/** The errors in the last version of a message, given the edits and deletions that were not rejected. */
function* wrongVersion(
  { message_id, key, deletedBy }: FinalRoom['messages'][number],
  { text, change }: Version,
  made: readonly Operation[],
): Generator<string> {
  const what = `${message_id} (${key})`;
  const done = made.filter(({ outcome }) => outcome === 'ok');
  if (text === null && !made.some(({ kind, user }) => kind === 'delete' && user === deletedBy))
    yield `${what} was deleted by ${deletedBy}, who did not delete it`;
  // Another property checks that a deleted message stays deleted.
  const last = made.find((each) => each.kind === 'edit' && each.text === text);
  const lost = done.find(({ kind }) => kind === 'edit');
  const after = last ? done.find((each) => each.kind === 'edit' && isBefore(last, each)) : lost;
  if (text !== null && after)
    yield `${what} has the text ${text}, but its edit to ${after.text} was acknowledged later`;
  const newer = done.find((each) => (each.change ?? 0) > change);
  if (newer) yield `${what} has change ${change} at last, but ${newer.kind} was acknowledged as ${newer.change}`;
  const same = done.find((each) => each.change === change);
  if (same && text !== null && same.kind === 'edit' && same.text !== text)
    yield `${what} has the text ${text}, but its change ${change} was the edit to ${same.text}`;
}

/**
 * The acknowledged changes that a client must have received by the time `by`, if it has been joined without
 * interruption since `from`.
 */
function dueChanges(view: View, room: string, from: number, by: number): readonly Operation[] {
  // Deleting a message again does not change it, so the first deletion counts.
  const begun = ({ kind, message_id = '', invoked }: Operation): number =>
    kind === 'delete' ? Math.min(...deletionsOf(view, message_id).map((each) => each.invoked)) : invoked;
  return view.operations.filter(
    (each) =>
      (each.kind === 'edit' || each.kind === 'delete') &&
      each.room === room &&
      each.outcome === 'ok' &&
      each.change !== undefined &&
      begun(each) > from &&
      settledAt(each) < by,
  );
}

/** An open connection receives an event for each change, or for a later change of the same message. */
function* changesOnConnections(view: View): ReturnType<Check> {
  const { history, beliefs } = view;
  for (const belief of beliefs) {
    if (belief.via !== 'raw' || !isOpen(belief) || !history.final) continue;
    const { stream, room } = belief;
    const newest = new Map<string, number>();
    for (const each of history.observations) {
      const version = each.stream === stream && each.room === room ? versionOf(each) : undefined;
      if (version) newest.set(version.message_id, Math.max(version.change, newest.get(version.message_id) ?? 0));
    }
    const from = joinedForGood(view, belief);
    const missed = dueChanges(view, room, from, history.final.at).find(
      ({ message_id = '', change = 0 }) => (newest.get(message_id) ?? 0) < change,
    );
    if (missed)
      yield {
        room,
        text: `${stream} has been joined since ${seconds(from)}, and never got change ${missed.change}, the ${missed.kind} of ${missed.message_id} at ${seconds(missed.invoked)}`,
      };
  }
}

/**
 * An SDK application receives each change once and in order, despite outages. Its final state is the same as the
 * history.
 */
function* changesInApplications({ history, ...view }: View): ReturnType<Check> {
  const all = history.observations.filter(({ via }) => via === 'sdk');
  for (const [session, seen] of Map.groupBy(all, ({ client, room }) => `${client} ${room}`)) {
    const room = seen[0]?.room ?? '';
    // Kept when the room is closed and joined again, because the application then continues from its last change.
    const state = new Map<string, Version>();
    let since: number | undefined;
    let got = new Set<string>();
    const missed = (by: number) =>
      dueChanges({ history, ...view }, room, since ?? by, by)
        .filter(({ message_id = '', change = 0 }) => (state.get(message_id)?.change ?? 0) < change)
        .map(({ change, kind, message_id }) => ({
          room,
          text: `${session} never learned of change ${change}, the ${kind} of ${message_id}`,
        }))
        .slice(0, 1);
    for (const each of seen) {
      if (each.type === 'joined') since ??= each.at;
      if (each.type === 'closed') {
        // By the clock of another function, the room may have ended earlier.
        if (each.reason === 'room_ended') yield* missed(each.at - history.skew);
        since = undefined;
        got = new Set();
      }
      const version = versionOf(each);
      if (!version) continue;
      const { message_id, change } = version;
      const before = state.get(message_id);
      const isNew = !got.has(message_id);
      if (before && (isNew ? change < before.change : change <= before.change))
        yield { room, text: `${session} was given change ${change} of ${message_id} after ${before.change}` };
      got.add(message_id);
      state.set(message_id, version);
    }
    if (since === undefined || !history.final) continue;
    yield* missed(history.final.at);
    for (const each of history.final.rooms[room]?.messages ?? []) {
      const [shown, stored] = [state.get(each.message_id), versionOf(each)];
      if (shown && stored && (shown.text !== stored.text || shown.change !== stored.change))
        yield {
          room,
          text: `${session} shows ${each.message_id} (${each.key}) as ${shown.text} at change ${shown.change}, but it is ${stored.text} at ${stored.change}`,
        };
    }
  }
}

function* deleted(view: View): ReturnType<Check> {
  const { history, operations, rooms, messagesWith } = view;
  for (const [room, { messages }] of rooms)
    for (const { file, key, ...each } of messages) {
      const version = versionOf(each);
      if (!version) continue;
      const { message_id, text } = version;
      const left = text === null ? file : text;
      if (left !== undefined && (text === null || deletedAt(view, message_id) < Number.POSITIVE_INFINITY))
        yield { room, text: `${message_id} (${key}) was deleted, and the history has ${left}` };
    }

  /** The messages that each SDK application has seen as deleted. */
  const gone = new Set<string>();
  for (const each of history.observations) {
    const version = versionOf(each);
    if (!version) continue;
    const { room, client, via, at } = each;
    const { message_id, text } = version;
    const shown = `${client} ${message_id}`;
    if (via === 'sdk' && text === null) gone.add(shown);
    if (text === null) continue;
    // The SDK may deliver a message late because it reads missed events first. The deletion then follows at once.
    const known = via === 'sdk' ? Number.POSITIVE_INFINITY : deletedAt(view, message_id);
    if (gone.has(shown)) yield { room, text: `${client} was given ${message_id} (${text}) again after its deletion` };
    if (at > known + BOUNDS.deleted + history.skew)
      yield { room, text: `${client} got ${message_id} (${text}) at ${seconds(at)}, deleted at ${seconds(known)}` };
  }

  for (const { kind, room, user, file, outcome, invoked } of operations) {
    const with_ = messagesWith.get(file ?? '');
    if (kind !== 'download' || outcome !== 'ok' || !with_) continue;
    const known = Math.max(...[...with_].map((message_id) => deletedAt(view, message_id)));
    if (invoked > known + history.skew)
      yield { room, text: `${user} was given ${file} at ${seconds(invoked)}, deleted at ${seconds(known)}` };
  }
}

function* order({ history, streams, sendOf }: View): ReturnType<Check> {
  for (const [room, group] of Map.groupBy(streams, ([key]) => key.slice(key.indexOf(' ') + 1))) {
    const next = new Map<string, Map<string, string>>();
    for (const [key, messages] of group) {
      for (const [index, { message_id }] of messages.entries()) {
        const after = messages[index + 1]?.message_id;
        if (after !== undefined) next.set(message_id, (next.get(message_id) ?? new Map()).set(after, key));
        // A message that was acknowledged before another one was sent is stored before it.
        const sent = sendOf.get(message_id)?.invoked ?? 0;
        const late = messages.slice(index + 1).find((later) => {
          const send = sendOf.get(later.message_id);
          return send?.outcome === 'ok' && settledAt(send) < sent;
        });
        if (late)
          yield {
            room,
            text: `${key} got ${message_id} before ${late.message_id} (${late.key}), which had been acknowledged before the other was sent`,
          };
      }
    }
    const cycle = cycleIn(next);
    if (cycle) {
      const by = cycle.map((id, index) => next.get(id)?.get(cycle[(index + 1) % cycle.length] ?? '') ?? '?');
      yield { room, text: `different orders of ${cycle.join(', ')}: seen by ${[...new Set(by)].join(' and ')}` };
    }
  }
  // For SDK applications, also messages from the history, if differences between clocks cannot have changed their
  // order.
  for (const { client, room, messages } of sdkSessions(history)) {
    const sends = messages.flatMap((id) => sendOf.get(id) ?? []);
    for (const [index, send] of sends.entries()) {
      const late = sends.slice(index + 1).find((later) => settledAt(later) + 2 * history.skew < send.invoked);
      if (late)
        yield {
          room,
          text: `${client} was given ${send.key} before ${late.key}, which had been acknowledged before the other was sent`,
        };
    }
  }
}

/** Properties with time limits. If the machine was too slow, a history proves nothing about them. */
export const TIMED: ReadonlySet<Property> = new Set([
  'complete',
  'changes',
  'deleted',
  'removal',
  'announced',
  'converges',
  'known',
  'settles',
]);

/** A cycle in a graph, or undefined. */
function cycleIn(next: ReadonlyMap<string, ReadonlyMap<string, unknown>>): string[] | undefined {
  const state = new Map<string, 'on path' | 'done'>();
  for (const root of next.keys()) {
    if (state.has(root)) continue;
    const path: { readonly id: string; readonly rest: IterableIterator<string> }[] = [];
    const enter = (id: string): void => {
      state.set(id, 'on path');
      path.push({ id, rest: (next.get(id) ?? new Map()).keys() });
    };
    enter(root);
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const { value, done } = top.rest.next();
      if (done) {
        state.set(top.id, 'done');
        path.pop();
      } else if (state.get(value) === 'on path')
        return path.slice(path.findIndex(({ id }) => id === value)).map(({ id }) => id);
      else if (!state.has(value)) enter(value);
    }
  }
  return undefined;
}

/** The codes for a file that does not exist. Removed participants get other codes. */
const NO_FILE = new Set(['file_not_found', 'no_object']);

function* files(view: View): ReturnType<Check> {
  const { operations, history, rooms, sendOf, messagesWith } = view;
  /** Whether a file may have been deleted before this time, together with its message. */
  const mayBeGone = (file: string, at: number): boolean =>
    [...(messagesWith.get(file) ?? [])].some((id) => deletionsOf(view, id).some(({ invoked }) => invoked < at));
  const uploads = new Map(
    operations.flatMap((each) =>
      each.kind === 'upload' && each.file !== undefined && each.outcome === 'ok' ? [[each.file, each] as const] : [],
    ),
  );
  const attached = new Set(history.observations.flatMap(({ file }) => file ?? []));
  for (const operation of operations) {
    const { kind, room, user, file = '', digest, outcome, code, invoked } = operation;
    const isThere = !mayBeGone(file, settledAt(operation));
    const upload = uploads.get(file);
    if (kind === 'download' && outcome === 'ok' && digest !== upload?.digest)
      yield {
        room,
        text: `${user} was given other bytes for ${file} at ${seconds(invoked)} than ${upload ? `${upload.user} had uploaded` : 'anybody has uploaded'}`,
      };
    if (kind === 'download' && outcome === 'fail' && NO_FILE.has(code ?? '') && attached.has(file) && isThere)
      yield {
        room,
        text: `${user} was refused ${file} at ${seconds(invoked)} with ${code}, although it was delivered`,
      };
    // The URL can store a deleted file again, but nobody can download it.
    if (kind === 'overwrite' && outcome === 'ok' && upload && settledAt(upload) < invoked && isThere)
      yield {
        room,
        text: `${user} could store ${file} again at ${seconds(invoked)}, after its upload was acknowledged`,
      };
  }
  for (const [room, { messages, files: stored }] of rooms) {
    for (const { message_id, file, key, text } of [
      ...messages,
      ...history.observations.filter((each) => each.room === room).filter(isMessage),
    ]) {
      const send = sendOf.get(message_id);
      if (send && send.file !== file && text !== null)
        yield { room, text: `${message_id} (${key}) has the file ${file}, but was sent with ${send.file}` };
    }
    for (const [file, digest] of Object.entries(stored))
      if (digest !== uploads.get(file)?.digest)
        yield {
          room,
          text: `${file} ${digest === '' ? 'is not there any more' : 'has other bytes than were uploaded'}`,
        };
  }
}

const HEARS_NOTHING = new Set(['lost', 'closed', 'participant_removed']);

function* removal({ history, operations, sends }: View): ReturnType<Check> {
  const about = (kind: Operation['kind'], { room, target }: Operation) =>
    operations.filter((each) => each.kind === kind && each.room === room && each.target === target);
  for (const remove of operations) {
    const { room, target } = remove;
    if (remove.kind !== 'remove' || remove.outcome !== 'ok' || room === undefined || target === undefined) continue;
    const answered = settledAt(remove);
    const adds = about('add', remove).filter((each) => each.outcome !== 'fail' && settledAt(each) > remove.invoked);
    const until = Math.min(Number.POSITIVE_INFINITY, ...adds.map(({ invoked }) => invoked));
    const heard = history.observations.find(
      (each) =>
        each.user === target &&
        each.room === room &&
        each.at > answered + BOUNDS.removal &&
        each.at < until &&
        !HEARS_NOTHING.has(each.type),
    );
    if (heard)
      yield {
        room,
        text: `${heard.client} got ${heard.type} ${heard.key ?? heard.participant ?? ''} at ${seconds(heard.at)}, although ${target} was removed at ${seconds(answered)}`,
      };
    const did = [...sends, ...operations.filter(({ kind }) => ['join', 'edit', 'delete'].includes(kind))].find(
      (each) =>
        each.user === target &&
        each.room === room &&
        each.outcome === 'ok' &&
        each.invoked > answered &&
        settledAt(each) < until,
    );
    if (did)
      yield {
        room,
        text: `${did.kind} ${did.key ?? did.message_id ?? ''} of ${target} at ${seconds(did.invoked)} was taken, although ${target} was removed at ${seconds(answered)}`,
      };
  }
}

/**
 * The time from which a room must reject messages. Undefined if it has not ended. By then, the user who ended the room
 * has the response, and the end has passed by every clock of the service.
 */
function closedFrom({ operations, history }: View, room: string, { ends, read }: FinalRoom): number | undefined {
  if (ends === null || ends + history.skew > read) return undefined;
  const changes = operations.filter(
    (each) => ['create', 'update', 'end'].includes(each.kind) && each.room === room && each.outcome !== 'fail',
  );
  const known = changes.filter((each) => each.ends === ends);
  // Two calls can set the same end, and a call without a response can be the one that took effect.
  const setBy = known.length > 0 ? known : changes.filter(({ outcome }) => outcome !== 'ok');
  return Math.max(ends + history.skew, ...setBy.map(settledAt).filter(Number.isFinite));
}

function* end(view: View): ReturnType<Check> {
  for (const [room, final] of view.rooms) {
    const from = closedFrom(view, room, final);
    if (from === undefined) continue;
    // An admin can still delete messages.
    for (const send of [...view.sends, ...view.operations.filter(({ kind }) => kind === 'edit')])
      if (send.room === room && send.outcome === 'ok' && send.invoked > from)
        yield {
          room,
          text: `${send.key ?? send.text} of ${send.user}, sent at ${seconds(send.invoked)}, was acknowledged, although the room had ended at ${seconds(from)}`,
        };
  }
}

function* announced(view: View): ReturnType<Check> {
  const { beliefs, history } = view;
  for (const [room, final] of view.rooms) {
    const from = closedFrom(view, room, final);
    if (from === undefined) continue;
    const known = from + BOUNDS.announced;
    for (const belief of beliefs)
      if (belief.room === room && belief.from < from && belief.to > known && (history.final?.at ?? 0) > known)
        yield {
          room,
          text: `${belief.stream} of ${belief.user} did not learn within ${seconds(BOUNDS.announced)} that the room ended at ${seconds(from)}`,
        };
  }
}

/** The status at a given time. Undefined if it depends on differences between clocks. */
function statusAt({ starts, ends }: FinalRoom, at: number, skew: number): FinalRoom['status'] | undefined {
  const near = (time: number | null): boolean => time !== null && Math.abs(at - time) <= skew + 250;
  if (near(starts) || near(ends)) return undefined;
  if (ends !== null && ends <= at) return 'ended';
  return starts <= at ? 'started' : 'booked';
}

/** Whether a user is a participant, after the last operation about them. Undefined if it is unknown. */
function lastWord(operations: readonly Operation[], room: string, user: string): boolean | undefined {
  const words = operations.filter(
    (each) =>
      (each.kind === 'add' || each.kind === 'remove') &&
      each.room === room &&
      each.target === user &&
      each.outcome !== 'fail',
  );
  const last = words.toSorted((a, b) => settledAt(a) - settledAt(b)).at(-1);
  if (last?.outcome !== 'ok') return undefined;
  return words.some((each) => each !== last && settledAt(each) > last.invoked) ? undefined : last.kind === 'add';
}

function* converges(view: View): ReturnType<Check> {
  const { history, operations, beliefs, rooms } = view;
  const { final, skew } = history;
  if (!final) {
    yield { text: 'the state could not be read after the faults had stopped' };
    return;
  }
  for (const [room, state] of rooms) {
    const expected = statusAt(state, state.read, skew);
    if (expected && expected !== state.status) yield { room, text: `is ${state.status}, but should be ${expected}` };

    const here = beliefs.filter((each) => each.room === room && isOpen(each));
    const over = closedFrom(view, room, state) !== undefined;
    /** Whether the service may not have detected yet that these connections are gone. */
    const mayLinger = (lost: readonly Belief[]): boolean =>
      over && state.read - Math.max(0, ...lost.map(({ to }) => to)) < BOUNDS.presence;
    if (over) for (const { stream } of here) yield { room, text: `has ended, and ${stream} does not know` };
    for (const { user, online } of state.participants) {
      const joined = here.some((each) => each.user === user);
      const lingers = online && mayLinger(beliefs.filter((each) => each.room === room && each.user === user));
      if (joined !== online && !lingers)
        yield { room, text: `${user} is seen ${online ? 'online' : 'offline'}, but has ${joined ? '' : 'not '}joined` };
    }
    const believed = new Set(here.flatMap(({ socket }) => socket ?? []));
    const known = new Set(state.sockets);
    for (const socket of believed.difference(known))
      yield { room, text: `${socket} believes that it has joined, and the table does not know it` };
    for (const socket of known.difference(believed))
      if (!mayLinger(beliefs.filter((each) => each.room === room && each.socket === socket)))
        yield { room, text: `the table has ${socket} as joined, which is not` };

    for (const [moment, time] of [
      ['start', state.starts],
      ['end', state.ends],
    ] as const) {
      const pending = state.schedules[moment];
      const ahead = time === null ? Number.NEGATIVE_INFINITY : time - state.read;
      if (ahead > BOUNDS.schedule && pending !== time)
        yield { room, text: `has its ${moment} at ${time}, and a schedule for ${pending ?? 'none'}` };
      if (ahead < -BOUNDS.schedule && pending !== undefined)
        yield {
          room,
          text: `has a schedule for a ${moment} at ${pending}, which is ${time === null ? 'off' : 'over'}`,
        };
    }

    for (const mark of operations) {
      const { kind, outcome, user, message_id = '' } = mark;
      if (kind !== 'mark' || mark.room !== room || outcome !== 'ok') continue;
      const present = state.participants.find((each) => each.user === user);
      // A removal deletes the user's read mark.
      const wasRemoved = operations.some(
        (each) =>
          each.kind === 'remove' &&
          each.room === room &&
          each.target === user &&
          each.outcome !== 'fail' &&
          (each.outcome === 'unknown' || settledAt(each) > mark.invoked),
      );
      if (present?.read !== undefined && !wasRemoved && (present.read ?? '') < message_id)
        yield { room, text: `${user} has read up to ${present.read}, but has marked ${message_id}` };
    }

    const members = new Set(state.participants.map(({ user }) => user));
    const users = new Set(operations.flatMap((each) => (each.room === room ? (each.target ?? []) : [])));
    for (const user of users) {
      const word = lastWord(operations, room, user);
      if (word !== undefined && word !== members.has(user))
        yield { room, text: `${user} was ${word ? 'added' : 'removed'} last, and is ${word ? 'no' : 'a'} participant` };
    }
    if (!state.participants.some(({ admin }) => admin)) yield { room, text: 'has no admin among its participants' };
  }
}

function* admin({ history }: View): ReturnType<Check> {
  const reported = new Set<string>();
  for (const { at, rooms } of history.samples)
    for (const [room, { admins }] of Object.entries(rooms))
      if (admins.length === 0 && !reported.has(room)) {
        reported.add(room);
        yield { room, text: `had no admin at ${seconds(at)}` };
      }
}

function* known({ history, beliefs }: View): ReturnType<Check> {
  for (const { room, socket, stream, from, to } of beliefs) {
    if (socket === undefined) continue;
    let missingSince: number | undefined;
    for (const sample of history.samples) {
      if (sample.at < from || sample.until > to) continue;
      const table = sample.rooms[room];
      if (!table || table.sockets.includes(socket)) {
        missingSince = undefined;
        continue;
      }
      missingSince ??= sample.at;
      if (sample.at - missingSince < BOUNDS.unknown) continue;
      yield {
        room,
        text: `${stream} has been joined since ${seconds(from)}, and the table has not known ${socket} since ${seconds(missingSince)}`,
      };
      break;
    }
  }
}

function* settles({ operations, history }: View): ReturnType<Check> {
  const { final, samples } = history;
  const over = Math.max(final?.at ?? 0, ...samples.map(({ until }) => until));
  // Clients continue while the final state is read, so calls that start after that may be pending at the end of the
  // history.
  const isUnderWay = ({ invoked, limit }: Operation): boolean =>
    final !== undefined && invoked > final.at && over - invoked <= limit;
  for (const operation of operations) {
    const { room, kind, user, key, invoked, settled, limit, outcome, code } = operation;
    if (outcome === 'pending' && isUnderWay(operation)) continue;
    const call = `${kind} ${key ?? ''} of ${user}, called at ${seconds(invoked)},`;
    if (outcome === 'pending' || settled === undefined) yield { room, text: `${call} never settled` };
    else if (settled - invoked > limit + history.stall)
      yield { room, text: `${call} settled after ${seconds(settled - invoked)}; the limit is ${seconds(limit)}` };
    else if (code === 'no_reply') yield { room, text: `${call} got no reply, on a socket that answered other frames` };
  }
}

const CHECKS: Readonly<Record<Property, Check>> = {
  stored,
  genuine,
  once,
  complete,
  order,
  changes,
  deleted,
  files,
  removal,
  end,
  announced,
  converges,
  admin,
  known,
  settles,
};

/** Returns all violations in a history, ordered by property. */
export function check(history: History, properties: readonly Property[] = propertyNames): Violation[] {
  const view = viewOf(history);
  return properties.flatMap((property) => [...CHECKS[property](view)].map((found) => ({ property, ...found })));
}

const isProperty = (name: string): name is Property => Object.hasOwn(PROPERTIES, name);

/** The names of all properties, in the order of the report. */
export const propertyNames: readonly Property[] = Object.keys(PROPERTIES).filter(isProperty);
