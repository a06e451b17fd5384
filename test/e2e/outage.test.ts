import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RoomsClient } from '../../client/src/index.ts';
import { requestToken } from '../../local/oidc/oidc-issuer.ts';
import { breakableWay, lossyWebSocket, type Way } from '../client/faults.ts';
import { clientsOf, everyMessageOnce, historyOf, IMPATIENT, roomOf, users } from '../client/outages.ts';
import { npmStart, type RunningStack } from './npm-start.ts';

let stack: RunningStack;
let way: Way;
beforeAll(async () => {
  stack = await npmStart();
  way = await breakableWay(stack.ws);
});
afterAll(async () => {
  await way?.close();
  await stack?.close();
});

const seed = Number(process.env.ROOMS_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

const token = (user: string) => requestToken(stack.issuer, user);

test(`the local stack delivers every message once and in order through random network faults (seed ${seed})`, async () => {
  const { http: url, ws: wsUrl } = stack;
  await everyMessageOnce({ url, wsUrl, ordered: false, token }, way, seed);
});

test.each<[string, (admin: RoomsClient, roomId: string, sender: string) => Promise<unknown>, string]>([
  ['the room ends', (admin, roomId) => admin.endRoom(roomId), 'room_ended'],
  ['the sender is removed', (admin, roomId, sender) => admin.removeParticipants(roomId, [sender]), 'removed'],
])('a message whose acknowledgment is lost before %s counts as sent', async (_, shut, reason) => {
  const { alice, bob } = users();
  const clientOf = clientsOf({ url: stack.http, wsUrl: stack.ws, token });
  let losing = true;
  const WebSocket = lossyWebSocket(
    (frame) => losing && frame.includes('"type":"reply"') && frame.includes('sender_id'),
  );
  const [admin, sender] = [clientOf(alice), clientOf(bob, { ...IMPATIENT, WebSocket })];
  const roomId = await roomOf(admin, bob);
  const room = await sender.join(roomId);
  const closed = new Promise((resolve) => room.on('closed', resolve));
  const sending = room.send({ text: 'last words' });
  await expect.poll(() => historyOf(admin, roomId), { timeout: 60_000 }).toHaveLength(1);
  await shut(admin, roomId, bob);
  losing = false;
  expect(await closed).toMatchObject({ reason });
  expect([await sending]).toEqual(await historyOf(admin, roomId));
  (await sender.connect()).close();
});
