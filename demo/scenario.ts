import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { type Message, type RoomEvent, RoomsClient, type RoomsClientOptions } from '../client/src/index.ts';
import { requestToken } from '../local/oidc/oidc-issuer.ts';
import { expect, type Story } from './narrator.ts';

export interface Endpoints {
  readonly http: string;
  readonly ws: string;
  readonly issuer: string;
}

/** Maximum wait for an event, in milliseconds. Generous, because the machine can be busy. */
const PATIENCE_MS = 20_000;
const MESSAGES = 25;
/** A little more than the 10 seconds after which a participant with a lost connection is offline, in milliseconds. */
const GRACE_MS = 11_000;

/** A network connection of one user that can be interrupted and restored. */
function network() {
  const open = new Set<WebSocket>();
  let cut = false;
  return {
    WebSocket: class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        // The address during an interruption. Nothing listens on it.
        super(cut ? 'ws://127.0.0.1:9' : url, protocols);
        open.add(this);
        this.addEventListener('close', () => open.delete(this));
      }
    },
    cut() {
      cut = true;
      for (const socket of open) socket.close();
    },
    mend() {
      cut = false;
    },
  };
}

/** Waits for the next matching event of a type. */
async function next<Name extends RoomEvent['type']>(
  events: AsyncIterator<RoomEvent>,
  type: Name,
  fits: (event: Extract<RoomEvent, { type: Name }>) => boolean = () => true,
): Promise<Extract<RoomEvent, { type: Name }>> {
  const giveUp = AbortSignal.timeout(PATIENCE_MS);
  const gaveUp = new Promise<never>((_, reject) => {
    giveUp.addEventListener('abort', () => reject(new Error(`no ${type} came`)), { once: true });
  });
  for (;;) {
    const { value, done } = await Promise.race([events.next(), gaveUp]);
    expect(!done, `${type} before the end of events`);
    if (value.type === type && fits(value as Extract<RoomEvent, { type: Name }>))
      return value as Extract<RoomEvent, { type: Name }>;
  }
}

const busEvents = v.object({
  events: v.array(v.object({ 'detail-type': v.string(), detail: v.object({ room_id: v.string() }) })),
});
const uploadAnswer = v.object({
  data: v.object({ upload_url: v.string(), headers: v.record(v.string(), v.string()) }),
});

/** Returns the types of the events that the local event bus has received about a room. */
async function onBus(http: string, room_id: string): Promise<string[]> {
  const response = await fetch(`${http}/_local/events`);
  const { events } = v.parse(busEvents, await response.json());
  return events.filter(({ detail }) => detail.room_id === room_id).map((event) => event['detail-type']);
}

/** Runs the demo: what two users can do from the creation of a room to its end, and what they cannot do. */
export async function scenario({ http, ws, issuer }: Endpoints, story: Story): Promise<void> {
  const { chapter, step, refused } = story;
  // Each run has new users, so that they do not see the rooms of earlier runs on the same stack.
  const run = randomUUID().slice(0, 8);
  const [aliceId, bobId] = [`alice-${run}`, `bob-${run}`];
  const as = (user: string, options: Partial<RoomsClientOptions> = {}) =>
    new RoomsClient({ url: http, wsUrl: ws, token: () => requestToken(issuer, user), ...options });
  const bobsNetwork = network();
  const [alice, eve] = [as(aliceId), as(`eve-${run}`)];
  const bob = as(bobId, { WebSocket: bobsNetwork.WebSocket });

  chapter('A room');
  const { room_id } = await step(
    'Alice creates a room',
    () => alice.createRoom({ name: 'Night shift', description: 'Line 4' }),
    (room) => `${room.name}, ${room.status}, ${room.room_id}`,
  );
  await step('Alice retries with the same idempotency key, which creates no second room', async () => {
    const [first, second] = [
      await alice.createRoom({ name: 'Once' }, { idempotencyKey: run }),
      await alice.createRoom({ name: 'Once' }, { idempotencyKey: run }),
    ];
    expect(first.room_id === second.room_id, 'the same room twice');
  });
  await refused('Eve, who is not a participant, cannot read it', 'not_a_participant', () => eve.getRoom(room_id));
  await step('Alice adds Bob', () => alice.addParticipants(room_id, [bobId]));
  await step(
    'Bob finds it in his list',
    async () => {
      const { items } = await bob.listRooms({ status: 'started' });
      expect(items.length === 1 && items[0]?.room_id === room_id, 'the one room');
      return items[0];
    },
    (room) => `${room?.name}, admin: ${room?.is_admin}`,
  );
  await step('Alice and Bob set their names', async () => {
    await alice.updateProfile(room_id, { username: 'Alice' });
    await bob.updateProfile(room_id, { username: 'Bob 🛠' });
  });

  chapter('Rights');
  await refused('Bob cannot rename the room', 'not_an_admin', () => bob.updateRoom(room_id, { name: 'Mine' }));
  await step('Alice makes Bob an admin', () => alice.grantAdmin(room_id, bobId));
  await step(
    'Bob renames the room',
    () => bob.updateRoom(room_id, { name: 'Night shift, line 4' }),
    ({ name }) => name,
  );
  await step('Alice revokes her own admin right', () => alice.revokeAdmin(room_id, aliceId));
  await refused('Bob, now the last admin, cannot revoke his', 'last_admin', () => bob.revokeAdmin(room_id, bobId));
  await refused('Bob cannot leave a room without another admin', 'last_admin', () =>
    bob.removeParticipants(room_id, [bobId]),
  );
  await step('Bob makes Alice an admin again', () => bob.grantAdmin(room_id, aliceId));

  chapter('Live');
  const alicesRoom = await step('Alice joins over the WebSocket', () => alice.join(room_id));
  const seenByAlice = alicesRoom.events();
  const bobsRoom = await step('Bob joins', () => bob.join(room_id));
  let seenByBob = bobsRoom.events();
  await step(
    'Alice sees Bob come online',
    () => next(seenByAlice, 'peer_joined', ({ data }) => data.participant_id === bobId),
    ({ data }) => `${data.username} is here`,
  );
  await refused('Eve cannot join', 'not_a_participant', () => eve.join(room_id));
  const heard: Message[] = [];
  bobsRoom.on('message', (message) => heard.push(message));
  await step(`Alice sends ${MESSAGES} messages, and Bob receives each once, in order`, async () => {
    for (let n = 1; n <= MESSAGES; n++) await alicesRoom.send({ text: `Reading ${n} of ${MESSAGES}` });
    await next(seenByBob, 'message', ({ data }) => data.text === `Reading ${MESSAGES} of ${MESSAGES}`);
    expect(
      heard.map(({ text }) => text).join() ===
        Array.from({ length: MESSAGES }, (_, n) => `Reading ${n + 1} of ${MESSAGES}`).join(),
      'all, in order',
    );
  });
  await step('the history, read in pages of 10, has the same messages', async () => {
    const history: string[] = [];
    for await (const message of bob.allMessages(room_id, { limit: 10, order: 'asc' })) history.push(message.message_id);
    expect(history.join() === heard.map(({ message_id }) => message_id).join(), 'no gap and no double');
  });

  chapter('A file');
  const bytes = randomBytes(300_000);
  let progress = 0;
  const sent = await step(
    'Bob sends a picture of 300 kB with a message',
    () =>
      bobsRoom.send(
        { text: 'The gauge', attachment: new File([bytes], '計器 "4".png', { type: 'image/png' }) },
        { onProgress: () => progress++ },
      ),
    ({ attachment }) => `${attachment?.name}, ${attachment?.size} bytes, ${progress} reports of progress`,
  );
  await step('Alice receives the message, and downloads the same file', async () => {
    await next(seenByAlice, 'message', ({ data }) => data.message_id === sent.message_id);
    const file = await alice.downloadFile(room_id, { message_id: sent.message_id });
    expect(Buffer.from(await file.blob.arrayBuffer()).equals(bytes), 'the same bytes');
    expect(file.name === '計器 "4".png' && file.content_type === 'image/png', 'the same name and type');
  });
  await step('S3 rejects a body of another length than requested', async () => {
    const response = await fetch(
      `${http}/participant/room/${room_id}/upload?name=a.txt&size=5&content_type=text/plain`,
      { headers: { authorization: `Bearer ${await requestToken(issuer, bobId)}` } },
    );
    const { data } = v.parse(uploadAnswer, await response.json());
    const put = await fetch(data.upload_url, { method: 'PUT', headers: data.headers, body: 'too long' });
    expect(put.status === 403, `403, but got ${put.status}`);
  });

  chapter('Edits and replies');
  const last = heard[MESSAGES - 1]?.message_id ?? '';
  await step(
    'Alice edits her last reading, and Bob sees it',
    async () => {
      await alicesRoom.edit(last, 'Reading corrected');
      return next(seenByBob, 'message_updated', ({ data }) => data.message_id === last);
    },
    ({ data }) => `${data.text}, change ${data.change}`,
  );
  await refused('Bob cannot edit it', 'not_the_sender', () => bobsRoom.edit(last, 'Mine'));
  const reply = await step(
    'Bob replies to it, with application data',
    async () => {
      await bobsRoom.send({ text: 'Thank you', reply_to: last, type: 'note', data: { line: 4 } });
      return next(seenByAlice, 'message', ({ data }) => data.reply_to === last);
    },
    ({ data }) => `${data.sender_name}: ${data.text}, ${JSON.stringify(data.data)}`,
  );
  await step('Alice sees that Bob is typing', async () => {
    const typing = new Promise<void>((resolve) => {
      alicesRoom.on('typing', (peers) => peers.some(({ participant_id }) => participant_id === bobId) && resolve());
    });
    bobsRoom.setTyping(true);
    await Promise.race([typing, sleep(PATIENCE_MS).then(() => expect(false, 'that Alice sees Bob typing'))]);
    bobsRoom.setTyping(false);
  });
  await step('Alice marks the reply as read, and Bob sees the mark', async () => {
    await alice.markRead(room_id, reply.data.message_id);
    const { items } = await bob.listParticipants(room_id);
    const read = items.find(({ participant_id }) => participant_id === aliceId)?.read_to;
    expect(read === reply.data.message_id, `the mark at the reply, but got ${read}`);
  });
  await step('Bob deletes the message with his picture, and it becomes empty', async () => {
    await bobsRoom.delete(sent.message_id);
    const { data } = await next(seenByAlice, 'message_deleted', ({ data }) => data.message_id === sent.message_id);
    expect(data.text === null && data.attachments.length === 0, 'neither text nor file');
  });
  await refused('Alice can no longer download the file', 'file_not_found', () =>
    alice.downloadFile(room_id, { message_id: sent.message_id }),
  );

  chapter('Who may post');
  await step("Alice revokes Bob's admin right, and locks the room", async () => {
    await alice.revokeAdmin(room_id, bobId);
    await alice.updateRoom(room_id, { posting: 'admins' });
  });
  await refused('Bob cannot post', 'read_only', () => bobsRoom.send({ text: 'But' }));
  await step('Alice unlocks it, and makes Bob an observer', async () => {
    await alice.updateRoom(room_id, { posting: 'everyone' });
    await alice.setRole(room_id, bobId, 'observer');
  });
  await refused('Bob cannot post as an observer', 'read_only', () => bobsRoom.send({ text: 'Please' }));
  await step('Bob can post as a member', async () => {
    await alice.setRole(room_id, bobId, 'member');
    await bobsRoom.send({ text: 'Back to work' });
  });

  chapter('An outage');
  const comings: string[] = [];
  const stopWatching = [
    alicesRoom.on('peer_joined', ({ participant_id }) => comings.push(`${participant_id} come`)),
    alicesRoom.on('peer_left', ({ participant_id }) => comings.push(`${participant_id} leave`)),
  ];
  const before = heard.length;
  await step('Bob’s network is interrupted, and Alice continues to write', async () => {
    const connection = await bob.connect();
    const noticed = new Promise<void>((resolve) => void connection.on('reconnecting', () => resolve()));
    bobsNetwork.cut();
    await noticed;
    for (const text of ['Still there?', 'Pressure is up again', 'Calling you']) await alicesRoom.send({ text });
    expect(heard.length === before, 'that Bob receives nothing');
  });
  await step(
    'the network is restored, and Bob receives every message of the outage once, in order',
    async () => {
      bobsNetwork.mend();
      await next(seenByBob, 'message', ({ data }) => data.text === 'Calling you');
      const history: string[] = [];
      for await (const { message_id } of bob.allMessages(room_id, { order: 'asc' })) history.push(message_id);
      expect(history.join() === heard.map(({ message_id }) => message_id).join(), 'no gap and no double');
      return heard.slice(before);
    },
    (missed) => missed.map(({ text }) => text).join(' · '),
  );
  await step('10 seconds later, Alice has not seen Bob leave or join', async () => {
    await sleep(GRACE_MS);
    expect(comings.length === 0, `neither, but got ${comings.join()}`);
  });
  await step('Bob leaves and joins again, and Alice sees both at once', async () => {
    for (const stop of stopWatching) stop();
    await bobsRoom.leave();
    await next(seenByAlice, 'peer_left', ({ data }) => data.participant_id === bobId);
    seenByBob = (await bob.join(room_id)).events();
    await next(seenByAlice, 'peer_joined', ({ data }) => data.participant_id === bobId);
  });

  chapter('The end');
  await step('Eve is added, and leaves', async () => {
    await alice.addParticipants(room_id, [`eve-${run}`]);
    await eve.leaveRoom(room_id);
    const { data } = await next(seenByAlice, 'participant_removed');
    expect(data.reason === 'left', `the reason left, but got ${data.reason}`);
  });
  await step('Alice removes Bob, and both receive the event', async () => {
    await alice.removeParticipants(room_id, [bobId]);
    await next(seenByBob, 'participant_removed', ({ data }) => data.participant_id === bobId);
    await next(seenByAlice, 'participant_removed', ({ data }) => data.participant_id === bobId);
  });
  await refused('Bob can no longer read the room', 'not_a_participant', () => bob.listMessages(room_id));
  await step(
    'Alice sets the end of the room to an hour from now, then ends it at once',
    async () => {
      const later = await alice.endRoom(room_id, { time_left_in_seconds: 3_600 });
      expect(later.status === 'started', 'that it has not ended yet');
      return alice.endRoom(room_id, { reason: 'Shift is over' });
    },
    (room) => `${room.status}: ${room.end_reason}`,
  );
  await step(
    'Alice receives the end over the WebSocket',
    () => next(seenByAlice, 'room_ended'),
    ({ data }) => `${data.status} at ${data.end_time}`,
  );
  await refused('an ended room cannot be changed', 'room_ended', () => alice.addParticipants(room_id, [bobId]));
  await step('an ended room can be read and archived', async () => {
    await alice.updateProfile(room_id, { archive_room: true });
    const room = await alice.getRoom(room_id);
    expect(room.archive_room && room.status === 'ended', 'an archived, ended room');
  });
  await step(
    'the EventBridge bus has received the events for back ends',
    async () => {
      // The bus can receive events later than the sockets.
      for (const since = Date.now(); ; await sleep(100)) {
        const types = await onBus(http, room_id);
        if (types.includes('room_created') && types.includes('room_ended')) return types;
        expect(Date.now() - since < PATIENCE_MS, `room_created and room_ended, but got ${types.join()}`);
      }
    },
    (types) => types.join(', '),
  );
  for (const client of [alice, bob, eve]) (await client.connect()).close();
  chapter('All steps succeeded.');
}
