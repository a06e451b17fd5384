import { MAX_FRAME_BYTES } from '../../../core/contract/limits.ts';
import { createRoom } from '../../../core/contract/routes.ts';
import { BEARER_SUB_PROTOCOL, SUB_PROTOCOL, SUB_PROTOCOLS } from '../../../core/contract/sub-protocols.ts';
import type { Check } from './check.ts';
import { CheckFailed, must, NotShown } from './outcome.ts';
import type { Session, Socket } from './session.ts';

/*
 * Checks of behavior of API Gateway that needs no function.
 */

/** Maximum number of parallel requests to reach a throttle. Higher limits are not checked. */
const MAX_BURST = 100;
const ROUNDS = 5;

/** The largest message of a WebSocket API, in frames of the largest size. */
const MESSAGE_FRAMES = 4;

function sameOrigin(headers: Headers, origin: string, status: number): string {
  const allowed = headers.get('access-control-allow-origin');
  must(allowed === origin || allowed === '*', `a ${status} has access-control-allow-origin: ${allowed}`);
  return `access-control-allow-origin: ${allowed}`;
}

const corsOn401: Check = {
  name: 'cors-401',
  proves: 'API Gateway adds CORS headers to its own 401 responses, so that pages can read the status.',
  how: 'GET /participant/room with an Origin and without a token',
  lacks: { ministack: 'ministack adds CORS headers only to responses of functions' },
  seconds: 30,
  async run(session, signal) {
    const { origin } = session;
    const response = await fetch(`${session.target.http}/participant/room`, { headers: { origin }, signal });
    await response.text();
    must(response.status === 401, `the status is ${response.status}, not 401`);
    return sameOrigin(response.headers, origin, 401);
  },
};

const corsOn429: Check = {
  name: 'cors-429',
  proves: 'API Gateway throttles routes as configured, and adds CORS headers to its own 429 responses.',
  how: `POST /room with an invalid body, up to ${2 * MAX_BURST} in parallel, until one is throttled; skipped if the burst limit is above ${MAX_BURST}`,
  lacks: { ministack: 'ministack does not throttle' },
  seconds: 60,
  async run(session, signal) {
    const { origin, target } = session;
    const { method, path } = createRoom;
    if (!target.deployed) throw new NotShown('needs the burst limit of the route: specify --env');
    const burst = target.deployed.burstOf(method, path);
    if (burst === undefined) throw new NotShown(`${method} ${path} has no burst limit of its own`);
    if (burst > MAX_BURST)
      throw new NotShown(`${method} ${path} has a burst limit of ${burst}: exceeding it could throttle other users`);
    const headers = {
      origin,
      authorization: `Bearer ${await session.user.token()}`,
      'content-type': 'application/json',
    };
    const one = async (): Promise<Response> => {
      const response = await fetch(target.http + path, { method, headers, body: '{"name":1}', signal });
      await response.text();
      return response;
    };
    // Requests that reach a function create nothing. A slow gateway gets new tokens while it responds, so several rounds
    // can be needed.
    for (let round = 1; round <= ROUNDS; round++) {
      const responses = await Promise.all(Array.from({ length: 2 * burst }, one));
      const throttled = responses.filter(({ status }) => status === 429);
      const [first] = throttled;
      if (first)
        return `${throttled.length} of ${responses.length} throttled; ${sameOrigin(first.headers, origin, 429)}`;
    }
    throw new CheckFailed(
      `none of ${ROUNDS} rounds with ${2 * burst} parallel requests was throttled; the burst limit is ${burst}`,
    );
  },
};

const tokenAsSubProtocol: Check = {
  name: 'websocket-authorizer',
  proves: 'The WebSocket authorizer has no identity source, so it is also invoked without an Authorization header.',
  how: 'a handshake with the token only as a sub-protocol, as browsers send it',
  lacks: { ministack: 'ministack uses the Authorization header as the identity source if none is set' },
  seconds: 60,
  async run(session) {
    const { status } = await session.handshake({
      'sec-websocket-protocol': `${SUB_PROTOCOL}, ${BEARER_SUB_PROTOCOL}${await session.user.token()}`,
    });
    must(status === 101, `the status is ${status}`);
    return 'connected';
  },
};

const refusedHandshakes: Check = {
  name: 'websocket-401',
  proves: 'A handshake without a valid token is rejected with 401, after which clients request a new token.',
  how: 'three handshakes: no token, a forged token in the header Authorization, and a forged token as a sub-protocol',
  lacks: { ministack: 'ministack responds with 500 if an authorizer rejects a request' },
  seconds: 90,
  async run(session) {
    const [head, payload] = (await session.user.token()).split('.');
    const forged = `${head}.${payload}.${'A'.repeat(342)}`;
    const handshakes: Record<string, Record<string, string>> = {
      'no token': {},
      'a forged token in the header': { authorization: `Bearer ${forged}` },
      'a forged token as a sub-protocol': {
        'sec-websocket-protocol': `${SUB_PROTOCOL}, ${BEARER_SUB_PROTOCOL}${forged}`,
      },
    };
    for (const [what, headers] of Object.entries(handshakes)) {
      const { status } = await session.handshake(headers);
      must(status === 401, `with ${what}, the status is ${status}`);
    }
    return '401 for all three';
  },
};

const subProtocolEcho: Check = {
  name: 'sub-protocol-echo',
  proves: 'The response to a handshake contains the negotiated sub-protocol, without which browsers disconnect.',
  how: `one handshake for each version of the protocol: ${SUB_PROTOCOLS.join(', ')}`,
  lacks: { ministack: 'ministack rejects the token as a sub-protocol, and returns no sub-protocol' },
  seconds: 90,
  async run(session) {
    const token = await session.user.token();
    for (const offered of SUB_PROTOCOLS) {
      const { status, protocol } = await session.handshake({
        'sec-websocket-protocol': `${offered}, ${BEARER_SUB_PROTOCOL}${token}`,
      });
      must(status === 101, `with ${offered}, the status is ${status}`);
      must(protocol === offered, `with ${offered}, the response has ${protocol ?? 'no sub-protocol'}`);
    }
    return SUB_PROTOCOLS.join(', ');
  },
};

/** Opens a connection, sends a message in frames of these sizes in bytes, and returns the connection. */
async function withFrames<T>(
  session: Session,
  sizes: readonly number[],
  outcome: (socket: Socket) => Promise<T>,
): Promise<T> {
  const socket = await session.connect();
  try {
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const [start, end] = ['{"action":"ping","request_id":"frames","padding":"', '"}'];
    const text = start + 'x'.repeat(total - start.length - end.length) + end;
    let from = 0;
    socket.sendFrames(
      ...sizes.map((size) => {
        from += size;
        return text.slice(from - size, from);
      }),
    );
    return await outcome(socket);
  } finally {
    socket.drop();
  }
}

/**
 * Waits for the close code of a connection.
 *
 * @throws CheckFailed if there is a reply, or if the connection stays open for 15 seconds
 */
async function closeCode(socket: Socket): Promise<number> {
  const answered = socket
    .waitFor('answer', ({ type }) => type === 'reply', 15_000)
    .then(() => Promise.reject(new CheckFailed('the message got a reply')));
  return Promise.race([socket.closed, answered]);
}

const reply = (socket: Socket) => socket.waitFor('reply', ({ type }) => type === 'reply');
const FRAME = MAX_FRAME_BYTES;

const frameTaken: Check = {
  name: 'frame-32-kb',
  proves: 'A frame of 32 KB, the maximum of the API, reaches a function.',
  how: `one frame of ${FRAME} bytes, which the function rejects as invalid`,
  seconds: 60,
  async run(session) {
    const { frame } = await withFrames(session, [FRAME], reply);
    must(frame.error?.code === 'invalid_request', `the reply is ${frame.error?.code ?? 'no error'}`);
    return 'answered';
  },
};

const frameRefused: Check = {
  name: 'frame-over-32-kb',
  proves: 'API Gateway closes a connection that sends a larger frame with code 1009.',
  how: `one frame of ${FRAME + 4_096} bytes`,
  lacks: { ministack: 'ministack has no frame limit', local: 'the local gateway limits messages, not frames' },
  seconds: 60,
  async run(session) {
    const code = await withFrames(session, [FRAME + 4_096], closeCode);
    must(code === 1009, `the connection was closed with ${code}`);
    return 'closed with 1009';
  },
};

const messageTaken: Check = {
  name: 'message-128-kb',
  proves:
    'API Gateway joins the frames of a message, and the function rejects a message above 32 KB with payload_too_large.',
  how: `${MESSAGE_FRAMES} frames of ${FRAME} bytes`,
  seconds: 60,
  async run(session) {
    const { frame } = await withFrames(session, Array(MESSAGE_FRAMES).fill(FRAME), reply);
    must(frame.error?.code === 'payload_too_large', `the reply is ${frame.error?.code ?? 'no error'}`);
    return 'payload_too_large';
  },
};

const messageRefused: Check = {
  name: 'message-over-128-kb',
  proves: 'API Gateway closes a connection that sends a message above 128 KB with code 1009.',
  how: `${MESSAGE_FRAMES + 1} frames of ${FRAME} bytes`,
  lacks: { ministack: 'ministack has no message limit' },
  seconds: 60,
  async run(session) {
    const code = await withFrames(session, Array(MESSAGE_FRAMES + 1).fill(FRAME), closeCode);
    must(code === 1009, `the connection was closed with ${code}`);
    return 'closed with 1009';
  },
};

export const gatewayChecks: readonly Check[] = [
  corsOn401,
  tokenAsSubProtocol,
  refusedHandshakes,
  subProtocolEcho,
  frameTaken,
  frameRefused,
  messageTaken,
  messageRefused,
];

/** The check that must run last, because it uses up the burst limit of a route. */
export const throttleChecks: readonly Check[] = [corsOn429];
