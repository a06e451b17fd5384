import { type Random, randomOf } from './random.ts';

/* The operations and faults of a round, which depend only on the seed. */

export const FAULTS = {
  'dynamodb-refuse': 'DynamoDB closes the socket of a request without processing it',
  'dynamodb-lose-answer': 'DynamoDB processes a request, but the response is lost, so the SDK repeats it',
  'dynamodb-5xx': 'DynamoDB responds with an internal error',
  'dynamodb-throttle': 'DynamoDB throttles requests',
  'dynamodb-conflict': 'another transaction is writing the item (TransactionConflict)',
  'dynamodb-slow': 'DynamoDB responds late, sometimes after the time-out of the SDK',
  'post-throttle': 'posts to connections are throttled for the whole account',
  'close-throttle': 'closes of connections are throttled for the whole account',
  'post-5xx': 'posts and closes get a 5xx, or their socket is closed',
  'post-lose-answer': 'a post is delivered, but the response is lost',
  'post-slow': 'a post is slow, sometimes slower than its time-out',
  'services-5xx': 'SQS, EventBridge, Scheduler or Lambda respond with a 5xx, or close the socket',
  'services-lose-answer': 'SQS, EventBridge, Scheduler or Lambda process a request, but the response is lost',
  'http-5xx': 'the HTTP gateway responds with a 502, 503 or 504, before or after the function has run',
  's3-refuse': 'S3 closes the socket of a request without processing it',
  's3-lose-answer': 'S3 stores the file, but the response is lost; a download is cut off',
  's3-5xx': 'S3 throttles requests (503)',
  's3-slow': 'S3 responds late',
  kill: 'a function is killed at one of its awaits',
  'stream-late': 'a batch of the stream is delayed',
  'stream-fail': 'a batch of the stream fails, and is bisected',
  'stream-twice': 'a batch of the stream is delivered twice',
  redrive: 'an old batch of the stream is delivered again',
  cut: 'a client’s connection is cut',
  freeze: 'a client’s connection goes silent without being closed',
  slow: 'a client reads nothing for a while',
  offline: 'a client has no connection for seconds',
  'lost-disconnect': 'API Gateway does not report that a connection is gone',
  restart: 'all execution environments end at once, and all connections break',
  'gateway-restart':
    'both gateways restart: requests and connections break without $disconnect, and new ones are refused for a while',
  'dynamodb-restart': 'DynamoDB restarts: it does not respond until it runs again, with all of its data',
  'dynamodb-no-query': 'DynamoDB rejects all queries for longer than a batch of the stream is retried',
} as const;
export type Fault = keyof typeof FAULTS;
export const faultNames = Object.keys(FAULTS) as Fault[];

/** A period in which a fault applies with a probability. Times are milliseconds since the start of the round. */
export interface FaultWindow {
  readonly fault: Fault;
  readonly from: number;
  readonly to: number;
  readonly probability: number;
}

export type Action =
  | { readonly do: 'join' | 'leave' | 'cut' | 'freeze' | 'slow' }
  | { readonly do: 'send'; readonly count: number }
  /** Uploads a file of this size, and sends a message with it. */
  | { readonly do: 'upload'; readonly size: number }
  /**
   * `overwrite`: uses the URL of the user's last upload again for other bytes. `download`: downloads the last received
   * file again.
   */
  | { readonly do: 'overwrite' | 'download' }
  | { readonly do: 'add' | 'remove' | 'grant' | 'revoke'; readonly target: string }
  | { readonly do: 'rename' | 'profile' | 'read' | 'mark' }
  /**
   * Edits or deletes a message of the user or of others. Only admins can delete the messages of others, and nobody can
   * edit them. `share`, from 0 to below 1, selects it among the newest known messages.
   */
  | { readonly do: 'edit' | 'delete'; readonly of: 'own' | 'others'; readonly share: number }
  /** Breaks the connection, and refuses new ones for this many milliseconds. */
  | { readonly do: 'offline'; readonly ms: number }
  /** Moves the end to this many milliseconds from then, or removes it. */
  | { readonly do: 'move-end'; readonly in: number | null }
  /** Ends the room this many seconds from then. */
  | { readonly do: 'end'; readonly in: number };

export interface Step {
  readonly at: number;
  /** The index of the client that acts. */
  readonly client: number;
  readonly action: Action;
}

export interface ClientPlan {
  readonly name: string;
  readonly user: string;
  readonly via: 'raw' | 'sdk';
  /** How long its tokens are valid, in seconds. */
  readonly tokenSeconds: number;
}

export interface RoomPlan {
  readonly name: string;
  readonly createdAt: number;
  /** Milliseconds from its creation to its start. Undefined if it starts at once. */
  readonly startsIn: number | undefined;
  /** Milliseconds from its creation to its end. Undefined if it has none. */
  readonly endsIn: number | undefined;
  /** The first client's user creates the room. */
  readonly clients: readonly ClientPlan[];
  readonly users: readonly string[];
  readonly steps: readonly Step[];
}

export interface Plan {
  readonly seed: number;
  readonly round: number;
  /** How long the faults last, in milliseconds. */
  readonly length: number;
  /** The maximum difference between clocks, in milliseconds. Each clock deviates by at most half of it. */
  readonly skew: number;
  readonly rooms: readonly RoomPlan[];
  readonly faults: readonly FaultWindow[];
}

const HOUR = 3_600;

/** When a crowd sends many messages at once, as fractions of the round. The stream is delayed then. */
const FLOODS = [0.4, 0.7];

function clientsOf(random: Random, room: string, crowd: boolean): ClientPlan[] {
  const clients: ClientPlan[] = [];
  const users = crowd ? 6 : random.int(3, 4);
  for (let index = 0; index < users; index += 1) {
    const user = `${room}-u${index}`;
    // Some users have two devices. In a crowd, each has 10, so that connections are delivered to in batches.
    const devices = crowd ? 10 : random.chance(0.25) ? 2 : 1;
    for (let device = 0; device < devices; device += 1)
      clients.push({
        name: `${user}-${device}`,
        user,
        via: !crowd && random.chance(0.5) ? 'sdk' : 'raw',
        tokenSeconds: random.chance(0.2) ? random.int(8, 20) : HOUR,
      });
  }
  return clients;
}

function roomOf(random: Random, name: string, length: number, crowd: boolean): RoomPlan {
  const clients = clientsOf(random, name, crowd);
  const users = [...new Set(clients.map(({ user }) => user))];
  const createdAt = Math.round(random.between(0, crowd ? 200 : length * 0.15));
  const startsIn = random.chance(0.2) ? random.int(2_000, 5_000) : undefined;
  const steps: Step[] = [];
  const step = (at: number, client: number, action: Action): void => {
    steps.push({ at: Math.round(at), client, action });
  };
  const anyClient = (): number => random.int(0, clients.length - 1);
  const ready = createdAt + 500 + (startsIn ?? 0);

  for (const index of clients.keys()) step(ready + random.between(0, 2_000), index, { do: 'join' });
  const until = length;
  for (let at = ready + 1_500; at < until; at += random.between(100, crowd ? 900 : 1_100))
    step(at, anyClient(), { do: 'send', count: random.chance(0.15) ? random.int(3, crowd ? 12 : 6) : 1 });
  for (let at = ready + 2_000; at < until; at += random.between(700, 2_500)) {
    const target = random.pick(users);
    const [who] = [anyClient()];
    const what = random.pick([
      ...(['cut', 'cut', 'freeze', 'slow', 'leave', 'join', 'join'] as const),
      ...(['remove', 'add', 'add', 'grant', 'revoke', 'rename', 'profile', 'read', 'move-end'] as const),
    ]);
    // The room's creator performs most of the operations that require the admin right.
    const actor = random.chance(0.8) ? 0 : who;
    if (what === 'remove') {
      step(at, actor, { do: 'remove', target });
      if (random.chance(0.7)) {
        const back = at + random.between(500, 6_000);
        step(back, 0, { do: 'add', target });
        for (const [index, client] of clients.entries())
          if (client.user === target) step(back + random.between(200, 2_000), index, { do: 'join' });
      }
    } else if (what === 'add' || what === 'grant' || what === 'revoke') step(at, actor, { do: what, target });
    else if (what === 'rename') step(at, actor, { do: 'rename' });
    else if (what === 'move-end')
      step(at, actor, {
        do: 'move-end',
        in: random.chance(0.3) ? null : random.pick([8_000, 15_000, 3_600_000, 3_600_000]),
      });
    else if (what === 'leave') {
      step(at, who, { do: 'leave' });
      step(at + random.between(300, 4_000), who, { do: 'join' });
    } else step(at, who, { do: what });
  }
  // So many messages in one batch that the crowd's connections are split among invocations.
  if (crowd)
    for (const at of FLOODS)
      for (let n = 0; n < 3; n += 1) step(length * at + 100, anyClient(), { do: 'send', count: 12 });
  if (!crowd) for (let count = random.int(1, 3); count > 0; count -= 1) shareFile();
  function shareFile(): void {
    const [at, index] = [random.between(ready + 2_500, until * 0.75), anyClient()];
    step(at, index, { do: 'upload', size: random.pick([0, 1, random.int(2, 2_000), random.int(10_000, 200_000)]) });
    const again = at + random.between(1_500, 6_000);
    const user = clients[index]?.user ?? '';
    // A removed user may still have the URL.
    if (user !== users[0] && random.chance(0.5)) {
      step(again - 200, 0, { do: 'remove', target: user });
      const back = again + random.between(2_000, 6_000);
      step(back, 0, { do: 'add', target: user });
      for (const [other, client] of clients.entries())
        if (client.user === user) step(back + random.between(200, 2_000), other, { do: 'join' });
    }
    step(again, index, { do: 'overwrite' });
    step(again + random.between(0, 3_000), index, { do: 'overwrite' });
    for (let n = 0; n < 2; n += 1) step(again + random.between(500, 4_000), anyClient(), { do: 'download' });
  }
  changeMessages(random.fork('changes'));
  /** Uses a separate random source, so that the other choices of a seed do not change. */
  function changeMessages(own: Random): void {
    const change = (at: number): void => {
      const of = own.chance(0.75) ? 'own' : 'others';
      // The room's creator can delete messages of others.
      const actor = of === 'others' && own.chance(0.6) ? 0 : own.int(0, clients.length - 1);
      step(at, actor, { do: own.chance(0.65) ? 'edit' : 'delete', of, share: own.next() });
    };
    for (let at = ready + 3_000; at < until; at += own.between(400, 1_800)) change(at);
    for (let at = ready + 3_000; at < until; at += own.between(1_000, 5_000))
      step(at, own.int(0, clients.length - 1), { do: 'mark' });
    // A client is away while messages change, because of an outage or after leaving.
    for (let at = ready + 4_000; at < until - 5_000; at += own.between(6_000, 12_000)) {
      const [away, ms] = [own.int(0, clients.length - 1), own.between(1_500, 5_000)];
      if (own.chance(0.6)) step(at, away, { do: 'offline', ms });
      else {
        step(at, away, { do: 'leave' });
        step(at + ms, away, { do: 'join' });
      }
      for (let n = 0; n < 3; n += 1) change(at + own.between(200, ms));
    }
  }
  const ends = random.chance(0.35);
  if (ends) step(random.between(length * 0.6, length * 0.95), 0, { do: 'end', in: random.pick([0, 0, 1, 3]) });
  return {
    name,
    createdAt,
    startsIn,
    endsIn: !ends && random.chance(0.25) ? Math.round(length * random.between(0.6, 0.9)) : undefined,
    clients,
    users,
    steps: steps.toSorted((a, b) => a.at - b.at),
  };
}

/** Faults that occur in separate periods, with the ranges of their probability and duration. */
const WINDOWS: Readonly<
  Partial<Record<Fault, { probability: readonly [number, number]; ms: readonly [number, number] }>>
> = {
  'dynamodb-refuse': { probability: [0.05, 0.4], ms: [500, 4_000] },
  'dynamodb-lose-answer': { probability: [0.05, 0.5], ms: [500, 5_000] },
  'dynamodb-5xx': { probability: [0.05, 0.5], ms: [500, 4_000] },
  'dynamodb-throttle': { probability: [0.05, 0.5], ms: [500, 4_000] },
  'dynamodb-conflict': { probability: [0.1, 0.6], ms: [500, 5_000] },
  'dynamodb-slow': { probability: [0.05, 0.3], ms: [500, 4_000] },
  'post-throttle': { probability: [0.6, 1.1], ms: [300, 6_000] },
  'close-throttle': { probability: [0.5, 1], ms: [300, 6_000] },
  'post-5xx': { probability: [0.1, 0.8], ms: [300, 3_000] },
  'post-lose-answer': { probability: [0.05, 0.3], ms: [500, 4_000] },
  'post-slow': { probability: [0.05, 0.3], ms: [500, 4_000] },
  'services-5xx': { probability: [0.1, 0.8], ms: [500, 4_000] },
  'services-lose-answer': { probability: [0.1, 0.5], ms: [500, 4_000] },
  'http-5xx': { probability: [0.1, 0.5], ms: [300, 3_000] },
  's3-refuse': { probability: [0.1, 0.6], ms: [1_000, 6_000] },
  's3-lose-answer': { probability: [0.2, 0.8], ms: [1_000, 8_000] },
  's3-5xx': { probability: [0.1, 0.6], ms: [1_000, 6_000] },
  's3-slow': { probability: [0.1, 0.5], ms: [1_000, 6_000] },
  kill: { probability: [0.02, 0.2], ms: [1_000, 6_000] },
  'stream-late': { probability: [0.3, 0.8], ms: [1_000, 6_000] },
  'stream-fail': { probability: [0.1, 0.5], ms: [1_000, 5_000] },
  'stream-twice': { probability: [0.1, 0.6], ms: [1_000, 6_000] },
  'lost-disconnect': { probability: [0.5, 1], ms: [1_000, 8_000] },
};

function faultsOf(random: Random, length: number, crowd: boolean): FaultWindow[] {
  const windows: FaultWindow[] = [];
  const [from, last] = [1_000, length - 500];
  for (const fault of faultNames) {
    const shape = WINDOWS[fault];
    if (!shape) continue;
    for (let count = random.int(0, 3); count > 0; count -= 1) {
      const start = random.between(from, last);
      const window: FaultWindow = {
        fault,
        from: Math.round(start),
        to: Math.round(Math.min(last, start + random.between(...shape.ms))),
        probability: random.between(...shape.probability),
      };
      windows.push(window);
      // Posts and closes share one quota of the account, so closing fails, too, and a little longer.
      if (fault === 'post-throttle')
        windows.push({ ...window, fault: 'close-throttle', to: window.to + 6_000, probability: 1 });
    }
  }
  const moments = (fault: Fault, count: number): void => {
    for (; count > 0; count -= 1) {
      const at = Math.round(random.between(from, last));
      windows.push({ fault, from: at, to: at, probability: 1 });
    }
  };
  if (crowd)
    for (const at of FLOODS)
      windows.push({ fault: 'stream-late', from: length * at, to: length * at + 2_500, probability: 1 });
  moments('redrive', random.int(2, 8));
  if (random.chance(0.25)) moments('restart', 1);
  if (random.chance(0.4)) {
    const at = Math.round(random.between(from, last - 4_000));
    const down = { from: at, to: at + random.int(200, 3_000), probability: 1 };
    // A gateway that has stopped does not invoke `$disconnect`.
    windows.push({ fault: 'gateway-restart', ...down }, { ...down, fault: 'lost-disconnect', to: down.to + 1_000 });
  }
  if (random.chance(0.4)) moments('dynamodb-restart', 1);
  if (random.chance(0.5)) {
    const at = Math.round(random.between(from, last - 7_000));
    windows.push({ fault: 'dynamodb-no-query', from: at, to: at + random.int(4_000, 7_000), probability: 1 });
  }
  return windows.toSorted((a, b) => a.from - b.from);
}

/** How long the faults of a round last, in milliseconds. */
export const ROUND_MS = 40_000;

/**
 * Returns the plan of a round. With `faults: false`, the operations are the same, but only the clients' own connections
 * fail.
 */
export function planOf(seed: number, round: number, { faults = true, rooms = 4, length = ROUND_MS } = {}): Plan {
  const random = randomOf(seed).fork(`round ${round}`);
  const crowd = round % 3 === 2;
  const names = Array.from({ length: rooms }, (_, index) => `s${seed}r${round}-room${index}`);
  return {
    seed,
    round,
    length,
    skew: faults ? 4_000 : 0,
    rooms: names.map((name, index) => roomOf(random.fork(name), name, length, crowd && index === 0)),
    faults: faults ? faultsOf(random.fork('faults'), length, crowd) : [],
  };
}
