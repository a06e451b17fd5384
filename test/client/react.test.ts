import './dom.ts';
import { createElement, type FunctionComponent, Profiler, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import { afterEach, expect, test } from 'vitest';
import { RoomsClient } from '../../client/src/index.ts';
import {
  RoomsProvider,
  seenBy,
  type UseMessages,
  type UseParticipants,
  type UseRoom,
  type UseRooms,
  useConnection,
  useMessages,
  useParticipants,
  useRoom,
  useRooms,
  useTyping,
} from '../../client/src/react/index.ts';
import { wireServers } from './meeting.ts';
import { until } from './until.ts';

const wire = wireServers();
const unmounts: (() => void)[] = [];
afterEach(() => {
  for (const unmount of unmounts.splice(0)) unmount();
});

/** Returns a component that calls a hook. Records the last result of the hook and the number of commits. */
function probe<State>(useHook: () => State, id: string) {
  const found: { state?: State; commits: number } = { commits: 0 };
  const Show: FunctionComponent = () => {
    found.state = useHook();
    return null;
  };
  return {
    found,
    get state(): State {
      if (found.state === undefined) throw new Error(`${id} was not rendered.`);
      return found.state;
    },
    element: createElement(Profiler, { id, key: id, onRender: () => void found.commits++ }, createElement(Show)),
  };
}

/** Renders elements in StrictMode, as applications do in development. Returns a function that unmounts them. */
function mount(client: RoomsClient, ...children: readonly React.ReactNode[]): () => void {
  const root = createRoot(document.createElement('div'));
  root.render(createElement(StrictMode, null, createElement(RoomsProvider, { client }, ...children)));
  const unmount = () => root.unmount();
  unmounts.push(unmount);
  return unmount;
}

const texts = ({ messages }: UseMessages) => messages.map(({ text }) => text);
const joins = () => wire.server.frames.filter((action) => action === 'join').length;

test('all hooks of a room share one join, in StrictMode, and the last unmount leaves it', async () => {
  const { alice, bobs, room_id } = await wire.meeting();
  const bobsRoom = await bobs.join(room_id);
  await bobsRoom.send({ text: 'before' });
  const joinsBefore = joins();
  const room = probe(() => useRoom(room_id), 'room');
  const chat = probe(() => useMessages(room_id), 'chat');
  const people = probe(() => useParticipants(room_id), 'people');
  const other = probe(() => useMessages(room_id.toUpperCase()), 'other');
  const unmount = mount(alice, room.element, chat.element, people.element, other.element);
  await until(
    'history and participants are shown',
    () => people.found.state?.status === 'ready' && texts(chat.state).length === 1,
  );
  await bobsRoom.send({ text: 'live' });
  await until('the new message is shown', () => texts(chat.state).includes('live') && texts(other.state).length === 2);
  expect(room.state).toMatchObject({ status: 'joined', room: { name: 'Meeting', is_admin: true } });
  expect(people.state).toMatchObject({ onlineCount: 2 });
  expect(joins() - joinsBefore).toBe(1);
  unmount();
  await until('alice has left', () => !wire.server.joined(room_id).includes('alice'));
});

test('a component does not render again for events that its hook does not show', async () => {
  const { alice, bobs, room_id } = await wire.meeting();
  const second = await alice.createRoom({ name: 'Second', participant_ids: ['bob'] });
  const bobsRoom = await bobs.join(room_id);
  const room = probe(() => useRoom(room_id), 'room');
  const chat = probe(() => useMessages(room_id), 'chat');
  const people = probe(() => useParticipants(room_id), 'people');
  const elsewhere = probe(() => useMessages(second.room_id), 'elsewhere');
  const list = probe(() => useRooms(), 'list');
  const all = { room, chat, people, elsewhere, list };
  mount(alice, ...Object.values(all).map(({ element }) => element));
  await until(
    'everything is there',
    () =>
      [people.found.state?.status, list.found.state?.status].every((status) => status === 'ready') &&
      [chat, elsewhere].every(({ found }) => found.state?.earlier === 'none'),
  );
  const counts = () => Object.fromEntries(Object.entries(all).map(([name, { found }]) => [name, found.commits]));
  const difference = async (happen: () => unknown, isShown: () => boolean) => {
    const before = counts();
    await happen();
    await until('it is shown', isShown);
    return Object.fromEntries(Object.entries(counts()).filter(([name, count]) => count !== before[name]));
  };

  expect(
    Object.keys(
      await difference(
        () => bobsRoom.send({ text: 'one' }),
        () => texts(chat.state).length === 1,
      ),
    ),
  ).toEqual(['chat']);
  expect(
    Object.keys(
      await difference(
        () => wire.server.emit(room_id, 'peer_left', { participant_id: 'bob', username: null }),
        () => people.state.onlineCount === 1,
      ),
    ),
  ).toEqual(['people']);
  const typing = probe(() => useTyping(room_id), 'typing');
  mount(alice, typing.element);
  await until('it is rendered', () => typing.found.state !== undefined);
  const typed = await difference(
    () => bobsRoom.setTyping(true),
    () => typing.state.typing.length === 1,
  );
  expect(typed).toEqual({});
  const other = await difference(
    () => wire.server.emit(room_id, 'participant_updated', { participant_id: 'bob', username: 'Bob' }),
    () => people.state.participants.some(({ username }) => username === 'Bob'),
  );
  expect(Object.keys(other)).toEqual(['people']);
  const renamed = await difference(
    () => wire.server.emit(room_id, 'room_updated', { ...room.state.room, name: 'Renamed' }),
    () => room.state.room?.name === 'Renamed',
  );
  // The list of rooms may render again, now or later, because it also shows the name. So this is the last step.
  expect(Object.keys(renamed).filter((name) => name !== 'list')).toEqual(['room']);
});

test('useMessages pages back to the first message', async () => {
  const { alice, bobs, room_id } = await wire.meeting();
  const bobsRoom = await bobs.join(room_id);
  for (let n = 1; n <= 5; n++) await bobsRoom.send({ text: String(n) });
  const chat = probe(() => useMessages(room_id, { pageSize: 2 }), 'chat');
  mount(alice, chat.element);
  await until('the newest page is shown', () => chat.found.state?.earlier === 'more');
  expect(texts(chat.state)).toEqual(['4', '5']);
  await chat.state.loadEarlier();
  await until('the page before is shown', () => texts(chat.state).length === 4);
  await chat.state.loadEarlier();
  await until('all is shown', () => chat.state.earlier === 'none');
  expect(texts(chat.state)).toEqual(['1', '2', '3', '4', '5']);
});

test('useMessages shows edits and deletions of others and of the user', async () => {
  const { alice, bobs, room_id } = await wire.meeting();
  const bobsRoom = await bobs.join(room_id);
  const first = await bobsRoom.send({ text: 'first' });
  const chat = probe(() => useMessages(room_id), 'chat');
  mount(alice, chat.element);
  await until('history is shown', () => chat.found.state?.earlier === 'none');
  await bobsRoom.edit(first.message_id, 'edited');
  await until('the edit is shown', () => texts(chat.state)[0] === 'edited');
  chat.state.send({ text: 'mine', reply_to: first.message_id, data: { n: 1 } });
  await until('the reply is shown', () => chat.state.messages[1]?.reply_to === first.message_id);
  const mine = chat.state.messages[1]?.message_id ?? '';
  await chat.state.edit(mine, 'mine, edited');
  await until('it is edited', () => texts(chat.state)[1] === 'mine, edited');
  await chat.state.remove(first.message_id);
  await until('it is deleted', () => chat.state.messages[0]?.deleted_by === 'alice');
  await expect(chat.state.edit(first.message_id, 'no')).rejects.toMatchObject({ code: 'not_the_sender' });
  await alice.endRoom(room_id);
  await until('bob knows that it has ended', () => bobsRoom.closed !== undefined);
  // After the end of a room, a deletion causes no event.
  await chat.state.remove(mine);
  await until('it is deleted', () => chat.state.messages[1]?.deleted_at !== null);
  expect(texts(chat.state)).toEqual([null, null]);
});

test('read marks move forward, and refresh reads those of others', async () => {
  const { alice, bobs, room_id } = await wire.meeting();
  const bobsRoom = await bobs.join(room_id);
  const first = await bobsRoom.send({ text: 'first' });
  const second = await bobsRoom.send({ text: 'second' });
  const room = probe(() => useRoom(room_id), 'room');
  const chat = probe(() => useMessages(room_id), 'chat');
  const people = probe(() => useParticipants(room_id, { refreshMs: 50 }), 'people');
  mount(alice, room.element, chat.element, people.element);
  await until('all is read', () => people.found.state?.status === 'ready' && chat.state.earlier === 'none');
  expect(room.state.room?.has_unread).toBe(true);
  chat.state.markRead(second.message_id);
  chat.state.markRead(first.message_id);
  await until('the room is read', () => room.state.room?.has_unread === false);
  expect(room.state.room?.read_to).toBe(second.message_id);
  const marks = () => wire.server.requests.filter((line) => line.startsWith('PUT')).length;
  expect(marks()).toBe(1);
  let last = second;
  for (let n = 0; n < 5; n++) {
    last = await bobsRoom.send({ text: String(n) });
    chat.state.markRead(last.message_id);
  }
  await until('the last one is marked', () => room.state.room?.read_to === last.message_id);
  expect(marks()).toBeLessThanOrEqual(3);
  await bobsRoom.markRead(first.message_id);
  await until("bob's mark is shown", () =>
    people.state.participants.some((one) => one.participant_id === 'bob' && one.read_to === first.message_id),
  );
});

test('useTyping shows who is typing, and reports that the user is typing', async () => {
  const { alice, bobs, room_id } = await wire.meeting();
  const bobsRoom = await bobs.join(room_id);
  const typing = probe(() => useTyping(room_id), 'typing');
  mount(alice, typing.element);
  await until('alice has joined', () => wire.server.joined(room_id).includes('alice'));
  await bobsRoom.setTyping(true);
  await until('bob types', () => typing.state.typing.some(({ participant_id }) => participant_id === 'bob'));
  await bobsRoom.send({ text: 'done' });
  await until('bob has stopped', () => typing.state.typing.length === 0);
  typing.state.setTyping(true);
  await until('bob sees alice', () => bobsRoom.typing.some(({ participant_id }) => participant_id === 'alice'));
});

test('useRoom warns of the end until it moves, and leaves permanently', async () => {
  const { alice, bob, room_id } = await wire.meeting();
  const room = probe(() => useRoom(room_id), 'room');
  mount(bob, room.element);
  await until('bob has joined', () => room.found.state?.status === 'joined');
  const ends_at = new Date(Date.now() + 60_000).toISOString();
  wire.server.emit(room_id, 'room_updated', { ...room.state.room, end_time: ends_at });
  wire.server.emit(room_id, 'room_ending', { ends_at, seconds_left: 60 });
  await until('bob is warned', () => room.state.ending !== undefined);
  expect(room.state.ending).toEqual({ ends_at, seconds_left: 60 });
  const later = new Date(Date.now() + 600_000).toISOString();
  wire.server.emit(room_id, 'room_updated', { ...room.state.room, end_time: later });
  await until('the warning is gone', () => room.state.ending === undefined);
  await room.state.leave();
  expect(room.state.status).toBe('left');
  const people = await alice.listParticipants(room_id);
  expect(people.items.map(({ participant_id }) => participant_id)).toEqual(['alice']);
});

test('useMessages shows an own message at once, and each message in one of its lists', async () => {
  const { alice, room_id } = await wire.meeting();
  wire.server.lagMs = 30;
  const shown: string[] = [];
  const chat = probe(() => {
    const state = useMessages(room_id);
    const line = [...texts(state), ...state.pending.map(({ message, state }) => `${message.text} ${state}`)].join(', ');
    if (shown.at(-1) !== line) shown.push(line);
    return state;
  }, 'chat');
  mount(alice, chat.element);
  await until('the hook is there', () => chat.found.state !== undefined);
  // Sends before the room is joined.
  chat.state.send({ text: 'a' });
  await until('it is delivered', () => texts(chat.state).length === 1);
  chat.state.send({ text: 'b' });
  chat.state.send({ text: 'c' });
  await until('all are delivered', () => texts(chat.state).length === 3 && chat.state.pending.length === 0);
  expect(texts(chat.state)).toEqual(['a', 'b', 'c']);
  expect(shown).toContain('a queued');
  for (const line of shown)
    for (const text of ['a', 'b', 'c']) expect(line.split(text).length - 1, line).toBeLessThan(2);
});

test('a rejected message stays as failed, and can be retried or discarded', async () => {
  const { alice, room_id } = await wire.meeting();
  const chat = probe(() => useMessages(room_id), 'chat');
  mount(alice, chat.element);
  await until('the room is joined', () => chat.found.state?.earlier === 'none');
  wire.server.refusals.push(
    { action: 'message', code: 'payload_too_large' },
    { action: 'message', code: 'payload_too_large' },
  );
  const first = chat.state.send({ text: 'first' });
  const second = chat.state.send({ text: 'second' });
  await until('both have failed', () => chat.state.pending.filter(({ state }) => state === 'failed').length === 2);
  expect(chat.state.pending).toMatchObject([
    { client_message_id: first, message: { text: 'first' }, error: { code: 'payload_too_large' } },
    { client_message_id: second, message: { text: 'second' } },
  ]);
  chat.state.discard(first);
  chat.state.retry(second);
  await until('the second is delivered', () => texts(chat.state).length === 1);
  expect(texts(chat.state)).toEqual(['second']);
  expect(chat.state.pending).toEqual([]);
});

test('pending messages are sent after the component is unmounted', async () => {
  const { alice, bobs, room_id } = await wire.meeting();
  const bobsRoom = await bobs.join(room_id);
  const heard: (string | null)[] = [];
  bobsRoom.on('message', ({ text }) => heard.push(text));
  const chat = probe(() => useMessages(room_id), 'chat');
  const unmount = mount(alice, chat.element);
  await until('the hook is there', () => chat.found.state !== undefined);
  wire.server.delays.message = 200;
  chat.state.send({ text: 'late' });
  unmount();
  await until('bob has it', () => heard.includes('late'));
  await until('alice has left', () => !wire.server.joined(room_id).includes('alice'));
});

test('useRoom reports an outage, the end and a removal, and keeps the history', async () => {
  const { alice, bob, bobs, room_id } = await wire.meeting();
  const room = probe(() => useRoom(room_id), 'room');
  const chat = probe(() => useMessages(room_id), 'chat');
  const online = probe(() => useConnection(), 'online');
  const alices = probe(() => useRoom(room_id), 'alices');
  mount(bob, room.element, chat.element);
  mount(alice, online.element, alices.element);
  await until('bob has joined', () => room.found.state?.status === 'joined');
  await until('alice is online', () => online.found.state?.state === 'connected');
  expect(online.state.userId).toBe('alice');
  chat.state.send({ text: 'hello' });
  await until('it is delivered', () => texts(chat.state).length === 1);
  wire.way.refusing = true;
  wire.way.cut();
  await until('alice is offline', () => online.state.state === 'reconnecting');
  wire.way.refusing = false;
  await until('alice is back', () => online.state.state === 'connected');

  await alice.removeParticipants(room_id, ['bob']);
  await until('bob is out', () => room.state.status === 'removed');
  expect(texts(chat.state)).toEqual(['hello']);
  await until('bob waits to be added', () => wire.server.subscribed.size > 0);
  expect(bobs.state).not.toBe('closed');
});

test('an ended room shows its history and participants', async () => {
  const { alice, bobs, room_id } = await wire.meeting();
  await (await bobs.join(room_id)).send({ text: 'last words' });
  await alice.endRoom(room_id);
  const room = probe(() => useRoom(room_id), 'room');
  const chat = probe(() => useMessages(room_id), 'chat');
  const people = probe(() => useParticipants(room_id), 'people');
  mount(alice, room.element, chat.element, people.element);
  await until('it is read', () => chat.found.state?.earlier === 'none' && people.found.state?.status === 'ready');
  expect(room.state).toMatchObject({ status: 'ended', room: { status: 'ended' } });
  expect(texts(chat.state)).toEqual(['last words']);
  chat.state.send({ text: 'too late' });
  await until('it has failed', () => chat.state.pending[0]?.state === 'failed');
  expect(chat.state.pending[0]?.error).toMatchObject({ code: 'room_ended' });
});

test('a room that does not exist is reported, and not requested repeatedly', async () => {
  const { alice } = await wire.meeting();
  const room = probe(() => useRoom('00000000-0000-7000-8000-000000000000'), 'room');
  mount(alice, room.element);
  await until('it is reported', () => room.found.state?.status === 'removed');
  expect(room.state.error).toMatchObject({ code: 'room_not_found' });
});

test('useRooms lists rooms, follows additions, and keeps rooms that have not changed', async () => {
  const { alice, bob, room_id } = await wire.meeting();
  const list = probe(() => useRooms({ limit: 1 }, { refreshMs: 60_000 }), 'list');
  mount(bob, list.element);
  await until('the first page is there', () => list.found.state?.status === 'ready');
  expect(list.state.rooms.map((room) => room.room_id)).toEqual([room_id]);
  const [first] = list.state.rooms;
  const { room_id: second } = await alice.createRoom({ name: 'Second', participant_ids: ['bob'] });
  await until('bob has subscribed', () => wire.server.subscribed.size > 0);
  wire.server.notify('bob', second, 'participant_added');
  await until('the new room is there', () => list.state.rooms[0]?.room_id === second);
  expect(list.state.hasMore).toBe(true);
  await list.state.loadMore();
  await until('both are there', () => list.state.rooms.length === 2);
  expect(list.state.rooms[1]).toEqual(first);
});

test('the hooks render on the server, without a request', () => {
  const client = new RoomsClient({ url: 'http://127.0.0.1:9', wsUrl: 'ws://127.0.0.1:9', token: () => 'x' });
  const found: { room?: UseRoom; rooms?: UseRooms; chat?: UseMessages; people?: UseParticipants } = {};
  const App: FunctionComponent = () => {
    found.room = useRoom('r');
    found.rooms = useRooms();
    found.chat = useMessages('r');
    found.people = useParticipants('r', { refreshMs: 1_000 });
    return createElement('p', null, useConnection().state, ' ', found.room.status);
  };
  const requests = wire.server.requests.length;
  expect(renderToString(createElement(RoomsProvider, { client }, createElement(App)))).toBe(
    '<p>connecting<!-- --> <!-- -->joining</p>',
  );
  expect(found).toMatchObject({ rooms: { status: 'loading' }, chat: { messages: [] }, people: { status: 'loading' } });
  expect(wire.server.requests.length).toBe(requests);
  expect(() => renderToString(createElement(App))).toThrow('Put <RoomsProvider');
});

test('seenBy returns the participants whose read mark is at or after the message, except its sender', () => {
  const people = [
    { participant_id: 'alice', read_to: '03' },
    { participant_id: 'bob', read_to: '02' },
    { participant_id: 'carol', read_to: '01' },
    { participant_id: 'dave', read_to: null },
  ];
  const names = seenBy(people, { message_id: '02', sender_id: 'alice' }).map(({ participant_id }) => participant_id);
  expect(names).toEqual(['bob']);
});
