import { once } from 'node:events';
import { WebSocket } from 'ws';
import { messageId, numberOf } from './message-number.ts';

/*
 * Clients in a separate process: a sender that joins the room, and receivers. Sends a message for each number that it
 * gets, and reports when the message was sent, first received and last received. Arguments: URL, sub-protocol, token,
 * room, number of receivers.
 */

const [url = '', protocol = '', token = '', room_id = '', count = '0'] = process.argv.slice(2);
/** How many connections are opened at the same time. */
const AT_ONCE = 20;
const now = (): number => performance.timeOrigin + performance.now();

async function connect(): Promise<WebSocket> {
  const socket = new WebSocket(url, [protocol], { headers: { authorization: `Bearer ${token}` } });
  await once(socket, 'open');
  return socket;
}

interface Sent {
  readonly sent: number;
  readonly times: number[];
}
const messages = new Map<number, Sent>();

/** Ignores texts without a measured message, such as replies and other events. */
function receive(text: string): void {
  const at = now();
  const number = text.includes('"type":"message"') ? numberOf(text) : undefined;
  const message = number === undefined ? undefined : messages.get(number);
  if (!message) return;
  message.times.push(at);
  if (message.times.length === Number(count))
    process.send?.({ number, sent: message.sent, first: message.times[0], last: at });
}

for (let opened = 0; opened < Number(count); opened += AT_ONCE) {
  const sockets = await Promise.all(Array.from({ length: Math.min(AT_ONCE, Number(count) - opened) }, connect));
  for (const socket of sockets) socket.on('message', (data) => receive(String(data)));
}
process.send?.({ receivers: Number(count) });

const sender = await connect();
const joined = once(sender, 'message');
sender.send(JSON.stringify({ action: 'join', request_id: 'join', room_id }));
const [reply] = await joined;
if (!String(reply).includes('"ok":true')) throw new Error(`The sender cannot join: ${reply}`);
process.on('message', (number: number) => {
  messages.set(number, { sent: now(), times: [] });
  const frame = {
    action: 'message',
    request_id: 'send',
    room_id,
    client_message_id: messageId(number),
    text: 'x'.repeat(100),
  };
  sender.send(JSON.stringify(frame));
});
process.send?.({ ready: true });
process.once('disconnect', () => process.exit());
