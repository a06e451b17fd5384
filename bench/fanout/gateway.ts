import { setTimeout as sleep } from 'node:timers/promises';
import { createWebSocketGateway } from '../../local/apigateway/websocket-gateway.ts';
import { listen } from '../../local/listen.ts';

/*
 * The gateway in a process of its own: the local stack's, for an API without functions. Says where it is, then the id of each
 * connection that is made. Its argument is how long it takes to a post, in milliseconds.
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
