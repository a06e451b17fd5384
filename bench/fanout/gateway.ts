import { setTimeout as sleep } from 'node:timers/promises';
import { createWebSocketGateway } from '../../local/apigateway/websocket-gateway.ts';
import { listen } from '../../local/listen.ts';

/*
 * The local stack's WebSocket gateway in a separate process, without functions. Reports its address, and the ID of each
 * new connection. The argument is its response time for posts, in milliseconds.
 */

const latency = Number(process.argv[2]);
const gateway = createWebSocketGateway(
  {
    id: 'bench',
    stage: 'v1',
    routeSelectionExpression: '$request.body.action',
    routes: new Map(),
    authorizer: undefined,
    throttles: new Map(),
  },
  {
    functions: new Map(),
    log(_, text) {
      const [, connection_id] = /^(\S+) connected$/.exec(text) ?? [];
      if (connection_id) process.send?.({ connection_id });
    },
  },
);
const { url } = await listen(
  async (request, response) => {
    if (latency > 0) await sleep(latency);
    gateway.handle(request, response);
  },
  0,
  gateway.upgrade,
);
process.send?.({ url });
process.once('disconnect', () => process.exit());
