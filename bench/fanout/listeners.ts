import { once } from 'node:events';
import { WebSocket } from 'ws';

/*
 * Clients in a separate process. Opens connections, and reports the times of their frames after all have received one.
 * Arguments: URL and number of connections.
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
