import { MAX_FRAME_BYTES } from '../../../core/contract/limits.ts';
import { createRoom } from '../../../core/contract/routes.ts';
import { BEARER_SUB_PROTOCOL, SUB_PROTOCOL, SUB_PROTOCOLS } from '../../../core/contract/sub-protocols.ts';
import type { Check } from './check.ts';
import { CheckFailed, must, NotShown } from './outcome.ts';
import type { Session, Socket } from './session.ts';

/*
 * Checks of what API Gateway does itself, before or without a function.
 */

/** Requests that are sent at once to see a throttle. A higher throttle is not checked. */
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
  proves: 'A page can read the status of a 401 that API Gateway answers by itself.',
  how: 'GET /participant/room with an Origin and without a token',
  lacks: { ministack: 'ministack adds CORS headers only to what a function has answered' },
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
  proves: 'A page can read the status of a 429 that API Gateway answers by itself, and routes are throttled as set.',
  how: `POST /room with a body that is refused, up to ${2 * MAX_BURST} at once, until one is throttled; not where the route takes more than ${MAX_BURST} at once`,
  lacks: { ministack: 'ministack does not throttle' },
  seconds: 60,
  async run(session, signal) {
    const { origin, target } = session;
    const { method, path } = createRoom;
    if (!target.deployed) throw new NotShown('it needs the throttle of the route: give --env');
    const burst = target.deployed.burstOf(method, path);
    if (burst === undefined) throw new NotShown(`${method} ${path} has no throttle of its own`);
    if (burst > MAX_BURST)
      throw new NotShown(`${method} ${path} takes ${burst} requests at once: a flood of more would disturb others`);
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
    // Of the requests that reach a function, none creates anything. A slow gateway gets new tokens while it responds,
    // so there are several rounds.
    for (let round = 1; round <= ROUNDS; round++) {
      const responses = await Promise.all(Array.from({ length: 2 * burst }, one));
      const throttled = responses.filter(({ status }) => status === 429);
      const [first] = throttled;
      if (first)
        return `${throttled.length} of ${responses.length} throttled; ${sameOrigin(first.headers, origin, 429)}`;
    }
    throw new CheckFailed(`none of ${ROUNDS} floods was throttled, ${2 * burst} at once, with burst ${burst}`);
  },
};

const tokenAsSubProtocol: Check = {
  name: 'websocket-authorizer',
  proves: 'The WebSocket authorizer has no identity source: it is asked although there is no Authorization header.',
  how: 'a handshake with the token as a sub-protocol alone, as browsers send it',
  lacks: { ministack: 'ministack gives an authorizer without an identity source the Authorization header as one' },
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
  proves: 'A handshake without a good token is refused with 401, which clients take as a reason to get a new token.',
  how: 'three handshakes: no token, a changed token in Authorization, and the same as a sub-protocol',
  lacks: { ministack: 'ministack answers with 500 where an authorizer refuses' },
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
  proves: 'The sub-protocol that a function agrees on is named in the answer. Browsers hang up without it.',
  how: `a handshake for each version of the protocol: ${SUB_PROTOCOLS.join(', ')}`,
  lacks: { ministack: 'ministack refuses the token as a sub-protocol, and names no sub-protocol' },
  seconds: 90,
  async run(session) {
    const token = await session.user.token();
    for (const offered of SUB_PROTOCOLS) {
      const { status, protocol } = await session.handshake({
        'sec-websocket-protocol': `${offered}, ${BEARER_SUB_PROTOCOL}${token}`,
      });
      must(status === 101, `with ${offered}, the status is ${status}`);
      must(protocol === offered, `with ${offered}, the answer has ${protocol ?? 'no sub-protocol'}`);
    }
    return SUB_PROTOCOLS.join(', ');
  },
};

/** Sends a message with frames of this many bytes on a new connection, and returns the connection. */
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
 * @throws CheckFailed if it responds, or stays open for 15 seconds
 */
async function closeCode(socket: Socket): Promise<number> {
  const answered = socket
    .waitFor('answer', ({ type }) => type === 'reply', 15_000)
    .then(() => Promise.reject(new CheckFailed('the message was answered')));
  return Promise.race([socket.closed, answered]);
}

const reply = (socket: Socket) => socket.waitFor('reply', ({ type }) => type === 'reply');
const FRAME = MAX_FRAME_BYTES;

const frameTaken: Check = {
  name: 'frame-32-kb',
  proves: 'A frame of 32 KB, the largest that the API promises to take, reaches a function.',
  how: `one frame of ${FRAME} bytes, which is refused as invalid`,
  seconds: 60,
  async run(session) {
    const { frame } = await withFrames(session, [FRAME], reply);
    must(frame.error?.code === 'invalid_request', `the reply is ${frame.error?.code ?? 'no error'}`);
    return 'answered';
  },
};

const frameRefused: Check = {
  name: 'frame-over-32-kb',
  proves: 'API Gateway closes a connection that sends a larger frame, with the code 1009.',
  how: `one frame of ${FRAME + 4_096} bytes`,
  lacks: { ministack: 'ministack has no frame limit', local: 'the local gateway sees messages, not frames' },
  seconds: 60,
  async run(session) {
    const code = await withFrames(session, [FRAME + 4_096], closeCode);
    must(code === 1009, `the connection was closed with ${code}`);
    return 'closed with 1009';
  },
};

const messageTaken: Check = {
  name: 'message-128-kb',
  proves: 'A message of several frames is put together, and one above 32 KB is answered with payload_too_large.',
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
  proves: 'API Gateway closes a connection that sends a larger message, with the code 1009.',
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

/** Empties the bucket of a throttle, so it must run last. */
export const throttleChecks: readonly Check[] = [corsOn429];
