import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import { type Connection, type LiveRoom, RoomsClient } from '../../client/src/index.ts';

/*
 * A program that uses the client SDK: it writes, uploads, leaves and joins until its standard input ends. It prints what it does and
 * receives, one JSON object per line. It is copied into the code of a release to use that SDK, so it imports nothing else of this repository.
 *
 * Settings are JSON in the environment variable USER_SETTINGS; see `Settings` in crowd.ts.
 */

const settings = v.object({
  user: v.string(),
  room: v.string(),
  url: v.string(),
  wsUrl: v.string(),
  token: v.string(),
  leaves: v.boolean(),
});
const { user, room, url, wsUrl, token, leaves } = v.parse(settings, JSON.parse(process.env.USER_SETTINGS ?? '{}'));

const print = (kind: string, facts: object): void => {
  process.stdout.write(`${JSON.stringify({ kind, at: Date.now(), ...facts })}\n`);
};

/** Sends the token in a header. The emulator does not return the sub-protocol, so clients that send one would disconnect. */
class HeaderWebSocket extends WebSocket {
  constructor(address: string, protocols: string[]) {
    const bearer = protocols.find((each) => each.startsWith('bearer.'))?.slice('bearer.'.length);
    super(address, [], { headers: { authorization: `Bearer ${bearer}` } });
  }
}

const client = new RoomsClient({ url, wsUrl, token: () => token, WebSocket: HeaderWebSocket });
const pending = new Set<Promise<unknown>>();
let operations = 0;

/** Runs a call, and prints its start and its outcome. */
function call(operation: string, run: () => Promise<object | undefined>, facts: object = {}): Promise<unknown> {
  operations += 1;
  const id = operations;
  print('began', { id, operation, ...facts });
  const settled = run().then(
    (result) => print('settled', { id, outcome: 'ok', ...result }),
    (error: unknown) => {
      const { name, message } = error instanceof Error ? error : { name: '', message: String(error) };
      const code = error instanceof Error && 'code' in error ? String(error.code) : name;
      print('settled', { id, outcome: 'unknown', code, message });
    },
  );
  pending.add(settled);
  return settled.finally(() => pending.delete(settled));
}

let live: LiveRoom | undefined;
let streams = 0;

async function join(connection: Connection): Promise<void> {
  await call('join', async () => {
    const joined = await connection.join(room);
    streams += 1;
    print('saw', { type: 'joined', stream: `${user}#${streams}` });
    joined.on('message', ({ message_id, client_message_id, sender_id }) =>
      print('saw', { type: 'message', message_id, key: client_message_id, sender: sender_id }),
    );
    joined.on('rejoined', () => print('saw', { type: 'rejoined' }));
    joined.on('closed', ({ reason }) => {
      if (live === joined) live = undefined;
      print('saw', { type: 'closed', reason });
    });
    live = joined;
    return undefined;
  });
}

async function upload(joined: LiveRoom, key: string): Promise<object> {
  const bytes = randomBytes(2_000);
  const { file_id } = await client.uploadFile(room, bytes, {
    name: `${key}.bin`,
    contentType: 'application/octet-stream',
  });
  const { message_id } = await joined.send({ text: key, client_message_id: key, attachment: { file_id } });
  return { message_id, file_id, sha256: createHash('sha256').update(bytes).digest('hex') };
}

async function run(): Promise<void> {
  let stopping = false;
  process.stdin.resume();
  void once(process.stdin, 'end').then(() => {
    stopping = true;
  });
  const connection = await client.connect();
  for (const state of ['connected', 'reconnecting', 'idle', 'closed'] as const)
    connection.on(state, () => print('connection', { state }));
  print('connection', { state: connection.state });
  await join(connection);
  for (let n = 1; !stopping; n++) {
    await sleep(300);
    if (!live) await join(connection);
    const joined = live;
    if (!joined) continue;
    const key = `${user}-${n}`;
    if (n % 10 === 0) void call('upload', () => upload(joined, key), { key });
    else
      void call(
        'send',
        async () => ({ message_id: (await joined.send({ text: key, client_message_id: key })).message_id }),
        { key },
      );
    if (n % 15 === 0) void call('profile', async () => void (await client.updateProfile(room, { username: key })));
    if (n % 25 === 0) void call('read', async () => void (await client.listMessages(room, { limit: 5 })));
    if (leaves && n % 20 === 0) {
      await Promise.all(pending);
      await call('leave', async () => void (await joined.leave()));
      await sleep(500);
    }
  }
  await Promise.all(pending);
  print('stopped', {});
  // Waits for the last messages of the other users.
  await sleep(6_000);
  print('end', {});
  connection.close();
}

await run();
process.exit(0);
