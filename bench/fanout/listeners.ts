import { once } from 'node:events';
import { WebSocket } from 'ws';

/*
 * Clients in a process of their own. Opens as many connections as it is told to, and says when each has got its frame, once
 * all have. Arguments: URL and number.
 */

const [url = '', count = '0'] = process.argv.slice(2);
const now = (): number => performance.timeOrigin + performance.now();
let times: number[] = [];

for (let n = 0; n < Number(count); n++) {
  const socket = new WebSocket(url);
  await once(socket, 'open');
  socket.on('message', () => {
    times.push(now());
    if (times.length < Number(count)) return;
    process.send?.({ times });
    times = [];
  });
}
process.send?.({ ready: true });
process.once('disconnect', () => process.exit());
