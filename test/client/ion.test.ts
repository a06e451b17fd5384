import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type * as IonTypes from 'ion-sdk-js/lib/connector/index.js';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as Ion from '../../client/src/ion/index.ts';
import type { openChat } from './ion-program.ts';
import { QUICK, wireServers } from './meeting.ts';
import { until } from './until.ts';
import { unsignedToken } from './wire-server.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const FILE_ID = '01890a5d-ac96-774b-bcce-b302099a8057';
const wire = wireServers();
const connectors: Ion.Connector[] = [];
afterEach(() => {
  for (const connector of connectors.splice(0)) connector.close();
});

const addresses = () => `${wire.server.url} ${wire.way.url}`;

function connectorOf(user: string): Ion.Connector {
  const connector = new Ion.Connector(addresses(), unsignedToken(user), QUICK);
  connectors.push(connector);
  return connector;
}

const peer = (sid: string, uid: string, displayname = ''): Ion.Peer => ({
  sid,
  uid,
  displayname,
  extrainfo: '',
  destination: '',
  role: Ion.Role.GUEST,
  protocol: Ion.Protocol.WEBRTC,
  avatar: '',
  direction: Ion.Direction.BILATERAL,
  vendor: '',
});

const decode = ({ data }: Ion.Message): unknown => JSON.parse(String.fromCharCode(...data));

/** Records every callback of a room as a line of text. */
function record(room: Ion.Room): string[] {
  const log: string[] = [];
  room.onjoin = ({ success, error }) => log.push(`join ${success} ${error.reason}`.trim());
  room.onleave = (reason) => log.push(`leave ${reason}`);
  room.onpeerevent = ({ state, peer: { uid, displayname } }) =>
    log.push(`peer ${Object.keys(Ion.PeerState)[state]} ${uid} ${displayname}`);
  room.onroominfo = ({ name, lock }) => log.push(`info ${name} ${lock}`);
  room.ondisconnect = ({ reason }) => log.push(`disconnect ${reason}`);
  return log;
}

describe('the program of UCS', () => {
  let directory: string;
  /** Writes ion-program.ts to a file with `from` as its import, and returns the path. */
  async function program(from: string): Promise<string> {
    const text = await readFile(join(import.meta.dirname, 'ion-program.ts'), 'utf8');
    const changed = text.replace("'ion-sdk-js/lib/connector/index.js'", `'${from}'`);
    expect(changed).not.toBe(text);
    return changed;
  }
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'rooms-ion-'));
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    return () => rm(directory, { recursive: true, force: true });
  });

  test('compiles against ion-sdk-js, and with its import changed', async () => {
    await writeFile(join(directory, 'ion.ts'), await program('ion-sdk-js/lib/connector'));
    await writeFile(join(directory, 'rooms.ts'), await program('@rooms/client/ion'));
    const compilerOptions = {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      target: 'es2022',
      module: 'esnext',
      moduleResolution: 'bundler',
      allowImportingTsExtensions: true,
      lib: ['es2022', 'dom', 'dom.iterable'],
      types: [],
      paths: { '@rooms/client/ion': [resolve(ROOT, 'client/src/ion/index.ts')] },
    };
    await writeFile(
      join(directory, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['ion.ts', 'rooms.ts'] }),
    );
    const tsc = resolve(ROOT, 'node_modules/typescript/bin/tsc');
    const { stdout } = await run(process.execPath, [tsc, '-p', directory]).catch((error: { stdout: string }) => error);
    expect(stdout).toBe('');
  });

  test('runs with its import changed: chat, a file, peers, the room', async () => {
    const file = join(directory, 'program.ts');
    const ion = pathToFileURL(resolve(ROOT, 'client/src/ion/index.ts')).href;
    await writeFile(file, await program(ion));
    const module: { openChat: typeof openChat } = await import(pathToFileURL(file).href);
    const { bobs, room_id } = await wire.meeting();
    const shown: string[] = [];
    const chat = await module.openChat(
      {
        showMessage: (name, text, attachment) => shown.push(`${name}: ${text} ${attachment?.name ?? ''}`.trim()),
        showOnline: (uid) => shown.push(`${uid} is online`),
        showOffline: (uid) => shown.push(`${uid} is offline`),
        showRoom: (name) => shown.push(`room ${name}`),
        showClosed: (reason) => shown.push(`closed: ${reason}`),
      },
      { url: addresses(), accessToken: unsignedToken('alice'), sid: room_id, uid: 'alice' },
    );
    const bobsRoom = await bobs.join(room_id);
    wire.server.emit(room_id, 'peer_joined', { participant_id: 'bob', username: null });
    await until('bob is online', () => shown.includes('bob is online'));
    await chat.send('The gauge – 12 °C', { file_id: FILE_ID, name: 'a.txt', size: 1, content_type: 'text/plain' });
    await until('it is shown', () => shown.includes('Alice: The gauge – 12 °C a.txt'));
    await bobsRoom.send({ text: 'From Rooms: 你好' });
    await until('it is shown', () => shown.includes('bob: From Rooms: 你好'));
    wire.server.emit(room_id, 'peer_left', { participant_id: 'bob', username: null });
    await until('bob is offline', () => shown.includes('bob is offline'));
    expect(shown[0]).toBe('room Meeting');
    const [message] = (await wire.clientOf('bob').listMessages(room_id, { order: 'asc' })).items;
    expect(message).toMatchObject({ text: 'The gauge – 12 °C', attachment: { file_id: FILE_ID }, type: 'ion' });
    await chat.leave();
    await until('alice has left', () => !wire.server.joined(room_id).includes('alice'));
  });
});

test('has the types of the Ion SDK', () => {
  const connector = new Ion.Connector('http://127.0.0.1:9 ws://127.0.0.1:9', 'x');
  const asIon: Pick<IonTypes.Connector, 'uri' | 'services' | 'close' | 'registerService'> = connector;
  // A message has the additional field `data`, which the code of the Ion SDK sets but its types omit.
  type RoomOfIon = Omit<IonTypes.Room, 'connector' | '_rpc' | 'onmessage'> & { onmessage?: (msg: Ion.Message) => void };
  const onmessage = (msg: IonTypes.Message): void => void msg;
  const room: RoomOfIon = Object.assign(new Ion.Room(connector), { onmessage });
  const values: Pick<typeof IonTypes, 'PeerState' | 'Role' | 'Protocol' | 'Direction'> = Ion;
  expect([asIon.uri, room.name, values.PeerState.LEAVE]).toEqual(['http://127.0.0.1:9 ws://127.0.0.1:9', 'room', 3]);
});

test('two rooms of the Ion SDK exchange maps, and each receives every message once, including its own', async () => {
  const { room_id } = await wire.meeting();
  const [alice, bob] = [new Ion.Room(connectorOf('alice')), new Ion.Room(connectorOf('bob'))];
  const heard: unknown[] = [];
  const types: string[] = [];
  bob.onmessage = (message) => {
    heard.push(decode(message));
    types.push(message.type, message.from, message.to);
  };
  let own = 0;
  alice.onmessage = () => own++;
  expect(await alice.join(peer(room_id, 'alice'))).toMatchObject({ success: true, role: Ion.Role.HOST });
  expect(await bob.join(peer(room_id, 'bob'))).toMatchObject({ success: true, role: Ion.Role.GUEST });
  await alice.message(room_id, 'alice', 'all', 'text/plain', new Map<string, unknown>([['msg', 'hello']]));
  await alice.message(
    room_id,
    'alice',
    room_id,
    'Map',
    new Map<string, unknown>([
      ['msg', { text: 'typed', mime_type: 'reaction', emoji: '👍' }],
      ['extra', { deep: [1, 2] }],
    ]),
  );
  await until('bob has both', () => heard.length === 2);
  expect(heard).toEqual([
    { msg: 'hello' },
    {
      msg: { name: 'alice', mime_type: 'reaction', emoji: '👍', uid: 'alice', text: 'typed' },
      extra: { deep: [1, 2] },
    },
  ]);
  expect(types).toEqual(['text/plain', 'alice', 'all', 'Map', 'alice', 'all']);
  await until('alice has her own', () => own === 2);
});

test('reports peers that are online at the join, come, go or change their names, but not the user', async () => {
  const { alice, bobs, room_id } = await wire.meeting();
  const bobsRoom = await bobs.join(room_id);
  const room = new Ion.Room(connectorOf('alice'));
  const log = record(room);
  room.onmessage = ({ from }) => log.push(`message ${from}`);
  const opened: string[] = [];
  room.connector.onopen = ({ name }) => opened.push(`open ${name}`);
  room.connector.onclose = ({ name }) => opened.push(`close ${name}`);
  await room.join(peer(room_id, 'alice'));
  expect(log).toEqual(['peer JOIN bob bob', 'info Meeting false', 'join true']);
  log.length = 0;
  wire.server.emit(room_id, 'participant_updated', { participant_id: 'bob', username: 'Bob' });
  await until('the name is there', () => log.includes('peer UPDATE bob Bob'));
  wire.server.emit(room_id, 'peer_left', { participant_id: 'bob', username: 'Bob' });
  await until('bob is gone', () => log.includes('peer LEAVE bob Bob'));
  wire.server.emit(room_id, 'room_updated', { ...(await alice.getRoom(room_id)), posting: 'admins' });
  await until('the lock is there', () => log.includes('info Meeting true'));
  wire.way.cut();
  await until('it has reconnected', () => opened.length === 3);
  expect(opened).toEqual(['open room', 'close room', 'open room']);
  await bobsRoom.send({ text: 'Are you back?' });
  await until('alice is back in the room', () => log.includes('message bob'));
  await alice.endRoom(room_id, { reason: 'Done.' });
  await until('it is disconnected', () => log.some((line) => line.startsWith('disconnect')));
  expect(log.filter((line) => line.startsWith('disconnect'))).toHaveLength(1);
});

test('leave resolves with the reason, and close ends the connection', async () => {
  const { room_id } = await wire.meeting();
  const room = new Ion.Room(connectorOf('bob'));
  const log = record(room);
  await room.join(peer(room_id, 'bob'));
  expect(await room.leave(room_id, 'bob')).toBe('left');
  expect(log.at(-1)).toBe('leave left');
  expect(room.connected).toBe(true);
  room.connector.close();
  await until('it is closed', () => !room.connected);
});

test('close of a room that was never joined has no effect', () => {
  const room = new Ion.Room(connectorOf('bob'));
  room.close();
  room.close();
  expect(room.connected).toBe(false);
});

test('a join that the service rejects resolves with success false', async () => {
  const { alice, room_id } = await wire.meeting();
  const carol = new Ion.Room(connectorOf('carol'));
  const log = record(carol);
  const { PERMISSIONDENIED, ROOMNOTEXIST } = Ion.ErrorType;
  expect(await carol.join(peer(room_id, 'carol'))).toMatchObject({
    success: false,
    error: { errType: PERMISSIONDENIED },
  });
  expect(log[0]).toMatch(/^join false ./);
  await alice.endRoom(room_id);
  const bob = new Ion.Room(connectorOf('bob'));
  expect(await bob.join(peer(room_id, 'bob'))).toMatchObject({ success: false, error: { errType: ROOMNOTEXIST } });
});

test('unsupported features throw an error that says what to do', async () => {
  const { room_id } = await wire.meeting();
  const room = new Ion.Room(connectorOf('alice'));
  const alice = peer(room_id, 'alice');
  const message = new Map([['msg', { text: 'x' }]]);
  await expect(room.message(room_id, 'alice', 'all', 'Map', message)).rejects.toThrow('Join the room before');
  await expect(room.join(alice, 'secret')).rejects.toThrow('no room passwords');
  await expect(room.join({ ...alice, extrainfo: '{"a":1}' })).rejects.toThrow('does not store extrainfo');
  await expect(room.join({ ...alice, avatar: 'a.png' })).rejects.toThrow('does not store avatars');
  await expect(room.join({ ...alice, uid: 'bob' })).rejects.toThrow('The access token is of the user "alice"');
  await room.join(alice);
  await expect(room.message(room_id, 'alice', 'bob', 'Map', message)).rejects.toThrow('no messages to one user');
  await expect(room.message(room_id, 'alice', 'all', 'Map', new Map())).rejects.toThrow('The message is empty');
  const { room_id: second } = await wire.clientOf('alice').createRoom({ name: 'Second' });
  await expect(room.join({ ...alice, sid: second })).rejects.toThrow('another room');
  expect(() => new Ion.Connector('https://ion.example.com', 'x')).toThrow('Rooms has two addresses');
  expect(() => new Ion.RTC(room.connector)).toThrow('no audio or video');
  expect(() => Ion.LocalStream.getUserMedia({})).toThrow('no audio or video');
  expect(() => new Ion.RemoteStream()).toThrow('no audio or video');
  expect(() => room.connector.metadata).toThrow('does not use gRPC');
  expect(() => room.connector.grpcClientRpcOptions()).toThrow('does not use gRPC');
});
