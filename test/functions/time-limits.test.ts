import { randomUUID } from 'node:crypto';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { dynamodb, tableName } from '../../core/store/client.ts';
import type { FileItem, RoomItem } from '../../core/store/items.ts';
import { fileKey, roomKey } from '../../core/store/keys.ts';
import { logged } from '../support/logs.ts';
import { type SilentServer, startSilentServer, startUnreachableServer } from '../support/silent-server.ts';

/*
 * What each client of the functions does if a service does not respond: how many attempts it makes, and when it stops
 * waiting. The limits are those of production. A fake clock shortens the waits.
 */

const room_id = randomUUID();
const room: RoomItem = {
  ...roomKey(room_id),
  room_id,
  name: 'A room',
  start_time: new Date(Date.now() + 3_600_000).toISOString(),
  admins: new Set(['alice']),
  created_by: 'alice',
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
};
const file_id = randomUUID();
const file: FileItem = {
  ...fileKey(room_id, file_id),
  room_id,
  file_id,
  name: 'a',
  size: 1,
  content_type: 'a/b',
  uploader_id: 'alice',
  created_at: '2026-01-01T00:00:00.000Z',
};
const token = ['{"alg":"RS256","kid":"1"}', '{}', 'signature']
  .map((part) => Buffer.from(part).toString('base64url'))
  .join('.');

interface Client {
  /** The environment variable with the endpoint of the service. */
  readonly endpoint: string;
  /** Loads the client again, and returns a function that sends a request. */
  readonly load: () => Promise<() => Promise<unknown>>;
  /** How many requests are sent at the same time. */
  readonly together?: number;
  readonly attempts: number;
  /** The time limit of one attempt, in milliseconds. */
  readonly limit: number;
  /** Attempts to open a connection. Default: 3. */
  readonly connectionAttempts?: number;
  /**
   * The value of `Math.random`, which determines the waits between attempts: 0 means no waits. Default: the longest
   * waits.
   */
  readonly random?: number;
}

/** Throws if a request to the gateway failed. The gateway functions return the result instead of throwing. */
async function failed(request: () => Promise<string>): Promise<string> {
  const { result } = await logged(request);
  if (['failed', 'unanswered', 'unknown'].includes(result)) throw new Error('timed out');
  return result;
}

const identityProvider: Client = {
  endpoint: 'ISSUER',
  load: async () => {
    const { identify } = await import('../../core/realtime/identity.ts');
    return () => identify(token);
  },
  attempts: 1,
  limit: 3_000,
};

const clients: Readonly<Record<string, Client>> = {
  DynamoDB: {
    endpoint: 'AWS_ENDPOINT_URL_DYNAMODB',
    load: async () => {
      const { get } = await import('../../core/store/read.ts');
      return () => get(roomKey(room_id));
    },
    attempts: 3,
    limit: 2_000,
  },
  'S3 (HEAD)': {
    endpoint: 'AWS_ENDPOINT_URL_S3',
    load: async () => {
      const { attachmentOf } = await import('../../core/files/attachment.ts');
      // `attachmentOf` reads the table first, so the client of the table must already be loaded.
      const { get } = await import('../../core/store/read.ts');
      await get(roomKey(room_id));
      return () => attachmentOf(room_id, file_id, { caller: 'alice', now: file.created_at });
    },
    attempts: 3,
    limit: 2_000,
    // The SDK waits with Node's promise timers, which the fake clock does not advance. So this client waits 0 ms.
    random: 0,
  },
  Scheduler: {
    endpoint: 'AWS_ENDPOINT_URL_SCHEDULER',
    load: async () => {
      const { syncSchedules } = await import('../../core/realtime/schedule.ts');
      // Creates the schedule of the start, and deletes the schedules of the end and of the next warning.
      return () => syncSchedules(room, new Date().toISOString());
    },
    together: 3,
    attempts: 3,
    limit: 3_000,
  },
  SQS: {
    endpoint: 'AWS_ENDPOINT_URL_SQS',
    load: async () => {
      process.env.PRESENCE_QUEUE_URL = `${process.env.AWS_ENDPOINT_URL_SQS}/000000000000/presence`;
      const { queueAbsenceCheck } = await import('../../core/realtime/presence.ts');
      return () => queueAbsenceCheck({ room_id, participant_id: 'alice', left_at: new Date().toISOString() });
    },
    attempts: 3,
    limit: 3_000,
  },
  EventBridge: {
    endpoint: 'AWS_ENDPOINT_URL_EVENTBRIDGE',
    load: async () => {
      const { publish } = await import('../../core/realtime/bus.ts');
      const sent_at = new Date().toISOString();
      const event = {
        type: 'participant_removed',
        room_id,
        data: { participant_id: 'alice', reason: 'removed' },
        sent_at,
      } as const;
      return async () => {
        const { result: refused } = await logged(() => publish([event]));
        if (refused.length > 0) throw new Error('timed out');
      };
    },
    attempts: 3,
    limit: 3_000,
  },
  Lambda: {
    endpoint: 'AWS_ENDPOINT_URL_LAMBDA',
    load: async () => {
      const { invokeFanOut } = await import('../../core/realtime/fan-out-invoke.ts');
      const { deadlineIn } = await import('../../core/platform/deadline.ts');
      const deadline = deadlineIn(MAX_MS);
      return async () => {
        const batch = { room_id, recipients: [], task: { kind: 'close' } } as const;
        const { result } = await logged(() => invokeFanOut(batch, 1_000, deadline));
        if (result === 'lost') throw new Error('lost');
        return result;
      };
    },
    attempts: 1,
    limit: 35_000,
  },
  'API Gateway (post)': {
    endpoint: 'CALLBACK_URL',
    load: async () => {
      const { postToConnection } = await import('../../core/realtime/gateway.ts');
      return () => failed(() => postToConnection('id=', '{}', new AbortController().signal));
    },
    // The connection may have received the frame, so it is not sent again.
    attempts: 1,
    limit: 3_000,
    connectionAttempts: 4,
  },
  'API Gateway (close)': {
    endpoint: 'CALLBACK_URL',
    load: async () => {
      const { deleteConnection } = await import('../../core/realtime/gateway.ts');
      return () => failed(() => deleteConnection('id=', new AbortController().signal));
    },
    attempts: 4,
    limit: 1_000,
    connectionAttempts: 4,
  },
  'API Gateway (status)': {
    endpoint: 'CALLBACK_URL',
    load: async () => {
      const { connectionStatus } = await import('../../core/realtime/gateway.ts');
      return () => failed(() => connectionStatus('id=', new AbortController().signal));
    },
    attempts: 4,
    limit: 1_000,
    connectionAttempts: 4,
  },
  'the identity provider': identityProvider,
};
const all = Object.entries(clients);
const sdk = all.filter(([name]) => name !== 'the identity provider');

const variables = { ...process.env };
let silent: SilentServer;
let unreachable: Awaited<ReturnType<typeof startUnreachableServer>>;
beforeAll(async () => {
  await dynamodb.send(new PutCommand({ TableName: tableName(), Item: file }));
  [silent, unreachable] = await Promise.all([startSilentServer(), startUnreachableServer()]);
});
beforeEach(() => {
  vi.resetModules();
  vi.spyOn(Math, 'random').mockReturnValue(LONGEST);
  silent.requests.length = 0;
  Object.assign(process.env, variables, {
    EVENT_BUS_NAME: 'rooms-test',
    SCHEDULE_GROUP: 'rooms-test',
    SCHEDULE_ROLE_ARN: 'arn:aws:iam::000000000000:role/schedules',
    ANNOUNCE_FUNCTION_ARN: 'arn:aws:lambda:us-east-1:000000000000:function:announce',
    FAN_OUT_FUNCTION_ARN: 'arn:aws:lambda:us-east-1:000000000000:function:fan-out',
    AUDIENCE: 'rooms',
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});
afterAll(async () => {
  Object.assign(process.env, variables);
  await Promise.all([silent.close(), unreachable.close()]);
});

/** Makes the waits between attempts as long as possible. */
const LONGEST = 0.999;
const STEP_MS = 25;
/** In milliseconds. Longer than any limit. */
const MAX_MS = 120_000;

const UNTIL_ASKED_MS = 500;

/**
 * The minimum duration of a step of the fake clock while sockets connect, in real milliseconds. Without it, the clock outruns the
 * next attempt on a busy machine.
 */
const CONNECTING_MS = 2;

/**
 * Advances the clock until `work` fails. Returns how many milliseconds that took by the fake clock.
 *
 * @param stepMs the minimum duration of each step, in real milliseconds. Default: 0
 */
async function failing(work: () => Promise<unknown>, stepMs = 0): Promise<number> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  // The fake clock does not advance Node's internal timers, so this replacement uses `setTimeout`.
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((milliseconds) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException('The operation timed out.', 'TimeoutError')), milliseconds);
    return controller.signal;
  });
  let outcome: 'waiting' | 'failed' | 'answered' = 'waiting';
  work().then(
    () => {
      outcome = 'answered';
    },
    () => {
      outcome = 'failed';
    },
  );
  const ended = () => outcome !== 'waiting';
  // Waits until the service has a request. A server that accepts no connections never has one.
  const started = performance.now();
  while (silent.requests.length === 0 && performance.now() - started < UNTIL_ASKED_MS) await new Promise(setImmediate);
  for (let elapsed = 0; elapsed <= MAX_MS; elapsed += STEP_MS) {
    // Lets pending I/O finish.
    const stepped = performance.now();
    for (let turn = 0; turn < 20 || performance.now() - stepped < stepMs; turn++) await new Promise(setImmediate);
    if (ended()) {
      expect(outcome).toBe('failed');
      return elapsed;
    }
    vi.advanceTimersByTime(STEP_MS);
  }
  throw new Error(`It still waits after ${MAX_MS} ms.`);
}

/** The sum of all waits between three attempts, and a few steps of the clock. */
const BETWEEN_MS = 1_000;

describe.each(all)(
  '%s that does not respond',
  (_name, { endpoint, load, together = 1, attempts, limit, random = LONGEST }) => {
    test(`gets ${attempts} attempts of ${limit} ms`, async () => {
      vi.spyOn(Math, 'random').mockReturnValue(random);
      process.env[endpoint] = silent.url;
      const elapsed = await failing(await load());
      expect(silent.requests).toHaveLength(attempts * together);
      expect(elapsed).toBeGreaterThanOrEqual(attempts * limit);
      expect(elapsed).toBeLessThanOrEqual(attempts * limit + BETWEEN_MS);
    });
  },
);

test('the keys of an identity provider have the same time limit as its discovery document', async () => {
  const { startIssuer } = await import('../support/issuer.ts');
  const issuer = await startIssuer();
  try {
    issuer.health.keys = 'silent';
    process.env.ISSUER = issuer.url;
    const elapsed = await failing(await identityProvider.load());
    expect(issuer.requests).toEqual({ discovery: 1, keys: 1 });
    expect(elapsed).toBeGreaterThanOrEqual(3_000);
    expect(elapsed).toBeLessThanOrEqual(3_000 + BETWEEN_MS);
  } finally {
    await issuer.close();
  }
});

describe.each(sdk)(
  '%s that does not accept connections',
  (_name, { endpoint, load, connectionAttempts = 3, random = LONGEST }) => {
    test(`gets ${connectionAttempts} attempts of 1,000 ms`, async () => {
      vi.spyOn(Math, 'random').mockReturnValue(random);
      process.env[endpoint] = unreachable.url;
      const elapsed = await failing(await load(), CONNECTING_MS);
      expect(elapsed).toBeGreaterThanOrEqual(connectionAttempts * 1_000);
      expect(elapsed).toBeLessThanOrEqual(connectionAttempts * 1_000 + BETWEEN_MS);
    });
  },
);

test('a response that stops after its headers is aborted in each attempt', async () => {
  // The responses of S3 (HEAD) and API Gateway (close) have no body. Lambda's time limit covers the whole response, and
  // is tested above. If the body of a status breaks off, the next check asks again.
  const without = ['S3 (HEAD)', 'API Gateway (close)', 'API Gateway (status)', 'Lambda'];
  const withBodies = sdk.filter(([name]) => !without.includes(name));
  // With the real clock, because Node's sockets have their own timers. All clients run at the same time.
  await Promise.all(
    withBodies.map(async ([name, { endpoint, load, together = 1, attempts }]) => {
      const server = await startSilentServer();
      try {
        server.answers = 'headers';
        process.env[endpoint] = server.url;
        const request = await load();
        await expect(request(), name).rejects.toThrow(/timed out/);
        expect(server.requests, name).toHaveLength(attempts * together);
      } finally {
        await server.close();
      }
    }),
  );
});
