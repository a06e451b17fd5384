import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as v from 'valibot';
import type { History, Observation, Operation, OperationKind } from '../chaos/history.ts';
import { environment, type Target } from '../deploy/cdk.ts';

/** Settings of a user process. */
export interface Settings {
  readonly user: string;
  readonly room: string;
  readonly url: string;
  readonly wsUrl: string;
  readonly token: string;
  /** Whether the user leaves regularly and joins again. */
  readonly leaves: boolean;
}

const line = v.variant('kind', [
  v.object({
    kind: v.literal('began'),
    at: v.number(),
    id: v.number(),
    operation: v.picklist(['join', 'leave', 'send', 'upload', 'profile', 'read']),
    key: v.optional(v.string()),
  }),
  v.object({
    kind: v.literal('settled'),
    at: v.number(),
    id: v.number(),
    outcome: v.picklist(['ok', 'unknown']),
    code: v.optional(v.string()),
    message: v.optional(v.string()),
    message_id: v.optional(v.string()),
    file_id: v.optional(v.string()),
    sha256: v.optional(v.string()),
  }),
  v.object({
    kind: v.literal('saw'),
    at: v.number(),
    type: v.string(),
    stream: v.optional(v.string()),
    message_id: v.optional(v.string()),
    key: v.optional(v.string()),
    sender: v.optional(v.string()),
    reason: v.optional(v.string()),
  }),
  v.object({ kind: v.literal('connection'), at: v.number(), state: v.string() }),
  v.object({ kind: v.picklist(['stopped', 'end']), at: v.number() }),
]);
type Line = v.InferOutput<typeof line>;

export interface File {
  readonly file_id: string;
  readonly sha256: string;
}

/** Maximum time that the SDK retries a call, in milliseconds. */
const LIMIT_MS = 150_000;
const KINDS: Readonly<Record<string, OperationKind>> = { upload: 'send' };

/** Runs users of the SDK, each in a separate process, and records what they do and receive. */
export class Crowd {
  readonly #users: { settings: Settings; child: ChildProcess; lines: Line[]; closed: Promise<unknown> }[] = [];
  readonly #epoch = Date.now();
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Starts a user that runs the SDK of the release in a folder. */
  start(folder: string, settings: Settings): void {
    const child = spawn('node', [join(folder, 'test/upgrade/user.ts')], {
      cwd: folder,
      env: { ...environment(this.#target), USER_SETTINGS: JSON.stringify(settings) },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines: Line[] = [];
    const reader = createInterface(child.stdout).on('line', (text) => {
      lines.push(v.parse(v.pipe(v.string(), v.parseJson(), line), text));
    });
    this.#users.push({ settings, child, lines, closed: Promise.all([once(child, 'close'), once(reader, 'close')]) });
  }

  /** Returns the number of acknowledged messages of each user. */
  acknowledged(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      this.#users.map(({ settings, lines }) => [
        settings.user,
        lines.filter((each) => each.kind === 'settled' && each.message_id !== undefined).length,
      ]),
    );
  }

  /** Waits until all users have finished their calls and ended. Kills users that exceed the limit. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.kill(), LIMIT_MS);
    for (const { child } of this.#users) child.stdin?.end();
    await Promise.all(this.#users.map(({ closed }) => closed));
    clearTimeout(timer);
  }

  kill(): void {
    for (const { child } of this.#users) child.kill('SIGKILL');
  }

  /** Returns a line of text for each failed call. */
  failures(): string[] {
    return this.#users.flatMap(({ settings, lines }) => {
      const began = new Map(lines.flatMap((each) => (each.kind === 'began' ? [[each.id, each] as const] : [])));
      return lines.flatMap((each) =>
        each.kind === 'settled' && each.outcome !== 'ok'
          ? [`${settings.user}: ${began.get(each.id)?.operation} ${each.code}: ${each.message}`]
          : [],
      );
    });
  }

  /** Returns the uploaded files of each room. */
  files(): Map<string, File[]> {
    const files = new Map<string, File[]>();
    for (const { settings, lines } of this.#users)
      for (const each of lines)
        if (each.kind === 'settled' && each.file_id !== undefined && each.sha256 !== undefined)
          files.set(settings.room, [
            ...(files.get(settings.room) ?? []),
            { file_id: each.file_id, sha256: each.sha256 },
          ]);
    return files;
  }

  /** Returns the longest disconnection of each user, in milliseconds. */
  longestOutages(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      this.#users.map(({ settings, lines }) => {
        let [longest, since]: [number, number | undefined] = [0, undefined];
        for (const each of lines) {
          if (each.kind === 'end' && since !== undefined) longest = Math.max(longest, each.at - since);
          if (each.kind !== 'connection') continue;
          if (each.state === 'connected' && since !== undefined) {
            longest = Math.max(longest, each.at - since);
            since = undefined;
          } else if (each.state === 'reconnecting') since ??= each.at;
        }
        return [settings.user, longest];
      }),
    );
  }

  /** Returns a line of text for each of the 5 slowest calls. */
  slowestCalls(): string[] {
    const { operations } = this.history();
    const took = ({ invoked, settled = Number.POSITIVE_INFINITY }: Operation): number => settled - invoked;
    return operations
      .toSorted((a, b) => took(b) - took(a))
      .slice(0, 5)
      .map(
        (each) => `${each.kind} of ${each.user} at ${Math.round(each.invoked)} ms took ${Math.round(took(each))} ms`,
      );
  }

  /** Returns all operations and observations in the format of the chaos test's checker. */
  history(final?: History['final']): History {
    const since = (at: number): number => at - this.#epoch;
    const operations: Operation[] = [];
    const observations: Observation[] = [];
    for (const { settings, lines } of this.#users) {
      const { user, room } = settings;
      const about = { user, client: user, room };
      const own = new Map<number, Operation>();
      for (const each of lines) {
        if (each.kind === 'began') {
          const kind =
            KINDS[each.operation] ?? v.parse(v.picklist(['join', 'leave', 'send', 'profile', 'read']), each.operation);
          const operation: Operation = {
            ...about,
            id: operations.length,
            kind,
            invoked: since(each.at),
            limit: LIMIT_MS,
            outcome: 'pending',
            ...(each.key !== undefined && { key: each.key }),
          };
          operations.push(operation);
          own.set(each.id, operation);
        }
        if (each.kind === 'settled') {
          const { outcome, code, message_id, at } = each;
          Object.assign(own.get(each.id) ?? {}, {
            outcome,
            settled: since(at),
            ...(code !== undefined && { code }),
            ...(message_id !== undefined && { message_id }),
          });
        }
        if (each.kind === 'saw') {
          const { kind: _, at, ...facts } = each;
          observations.push({ ...about, via: 'sdk', at: since(at), ...facts });
        }
      }
    }
    observations.sort((a, b) => a.at - b.at);
    return {
      seed: 0,
      round: 0,
      epoch: this.#epoch,
      calm: 0,
      skew: 0,
      stall: 0,
      operations,
      observations,
      samples: [],
      final,
    };
  }
}
