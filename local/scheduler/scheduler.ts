import { mkdir, rename, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import * as v from 'valibot';
import { messageOf } from '../../tools/cli/error-text.ts';
import { AwsError, answer, jsonOf } from '../aws/aws-request.ts';
import { ACCOUNT, REGION } from '../cloudformation/template.ts';
import type { InvokeAsync } from '../lambda/invoke-async.ts';
import type { Log } from '../log.ts';
import { readIfExists } from '../read-if-exists.ts';
import { callAt, oneOffTime } from './schedule-time.ts';

/*
 * EventBridge Scheduler, limited to one-off schedules with a Lambda function as target
 * (https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html).
 */

const scheduleInput = v.object({
  GroupName: v.optional(v.string(), 'default'),
  ScheduleExpression: v.string(),
  ScheduleExpressionTimezone: v.optional(v.string()),
  FlexibleTimeWindow: v.object({ Mode: v.picklist(['OFF', 'FLEXIBLE']) }),
  State: v.optional(v.picklist(['ENABLED', 'DISABLED']), 'ENABLED'),
  ActionAfterCompletion: v.optional(v.picklist(['NONE', 'DELETE']), 'NONE'),
  Target: v.object({
    Arn: v.string(),
    RoleArn: v.string(),
    Input: v.optional(v.string(), '{}'),
    // The retry policy applies if Lambda cannot be reached, which does not happen here. Lambda itself retries a
    // function that fails.
    RetryPolicy: v.optional(v.unknown()),
    DeadLetterConfig: v.optional(v.unknown()),
  }),
});

const schedule = v.object({
  ...scheduleInput.entries,
  Name: v.string(),
  /** Milliseconds since the epoch. */
  created: v.number(),
  modified: v.number(),
});
type Schedule = v.InferOutput<typeof schedule>;

const scheduleName = v.pipe(v.string(), v.regex(/^[0-9a-zA-Z-_.]{1,64}$/, 'Name must satisfy [0-9a-zA-Z-_.]{1,64}'));

export interface Scheduler {
  /** Handles the creation, update, deletion, reading and listing of schedules. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a scheduler with these groups. Its schedules fire at the exact second, whereas those of AWS fire within the
 * minute.
 *
 * @param file where schedules are stored between runs; those that became due in the meantime fire at once
 */
export async function startScheduler(options: {
  groups: readonly string[];
  invoke: InvokeAsync;
  file: string | undefined;
  log: Log;
}): Promise<Scheduler> {
  const { invoke, file, log } = options;
  const groups = new Set(['default', ...options.groups]);
  const schedules = new Map<string, { readonly schedule: Schedule; readonly cancel: () => void }>();
  const controller = new AbortController();
  const { signal } = controller;
  const firing = new Set<Promise<void>>();

  const keyOf = ({ GroupName, Name }: Pick<Schedule, 'GroupName' | 'Name'>): string => `${GroupName}/${Name}`;
  const arnOf = (key: string): string => `arn:aws:scheduler:${REGION}:${ACCOUNT}:schedule/${key}`;

  let saving: Promise<void> = Promise.resolve();
  function save(): Promise<void> {
    if (file === undefined) return saving;
    saving = saving.then(async () => {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(`${file}.draft`, JSON.stringify([...schedules.values()].map((entry) => entry.schedule)));
      await rename(`${file}.draft`, file);
    });
    return saving;
  }

  async function fire(due: Schedule): Promise<void> {
    const key = keyOf(due);
    log('scheduler', `${key} is due`);
    await invoke(due.Target.Arn, due.Target.Input, signal);
    // The schedule can have been replaced since.
    if (due.ActionAfterCompletion === 'DELETE' && schedules.get(key)?.schedule === due) {
      schedules.delete(key);
      await save();
    }
  }

  function put(next: Schedule): void {
    const key = keyOf(next);
    schedules.get(key)?.cancel();
    const due = oneOffTime(next.ScheduleExpression, next.ScheduleExpressionTimezone);
    const cancel =
      next.State === 'DISABLED'
        ? () => {}
        : callAt(due, () => {
            const running = fire(next)
              .catch((error: unknown) => {
                if (!signal.aborted) log('scheduler', `${key}: ${String(error)}`);
              })
              .finally(() => firing.delete(running));
            firing.add(running);
          });
    schedules.set(key, { schedule: next, cancel });
  }

  async function read(request: IncomingMessage, Name: string): Promise<Schedule> {
    const parsed = v.safeParse(scheduleInput, await jsonOf(request));
    if (!parsed.success) {
      const [issue] = parsed.issues;
      throw new AwsError(400, 'ValidationException', `${v.getDotPath(issue) ?? ''} ${issue.message}`.trim());
    }
    const input = parsed.output;
    if (!groups.has(input.GroupName))
      throw new AwsError(404, 'ResourceNotFoundException', `Schedule group ${input.GroupName} does not exist.`);
    try {
      oneOffTime(input.ScheduleExpression, input.ScheduleExpressionTimezone);
      JSON.parse(input.Target.Input);
    } catch (error) {
      throw new AwsError(400, 'ValidationException', messageOf(error));
    }
    return { ...input, Name, created: Date.now(), modified: Date.now() };
  }

  function existing(key: string): Schedule {
    const found = schedules.get(key);
    if (!found) throw new AwsError(404, 'ResourceNotFoundException', `Schedule ${key.split('/')[1]} does not exist.`);
    return found.schedule;
  }

  /**
   * Returns a page of the schedules of a group, or of all. The token of the next page is the key of the last
   * schedule.
   */
  function list(query: URLSearchParams): object {
    const group = query.get('ScheduleGroup');
    const size = Number(query.get('MaxResults') ?? 100);
    const after = query.get('NextToken') ?? '';
    const keys = [...schedules.keys()]
      .filter((key) => key > after && (group === null || key.startsWith(`${group}/`)))
      .sort();
    const page = keys.slice(0, size);
    return {
      Schedules: page.map((key) => {
        const { GroupName, Name, State, Target, created, modified } = existing(key);
        const dates = { CreationDate: created / 1_000, LastModificationDate: modified / 1_000 };
        return { Arn: arnOf(key), GroupName, Name, State, Target: { Arn: Target.Arn }, ...dates };
      }),
      ...(keys.length > size && { NextToken: page.at(-1) }),
    };
  }

  if (file !== undefined) {
    const text = (await readIfExists(file)) ?? '[]';
    // The schedules of a group that no longer exists are gone, too.
    for (const kept of v.parse(v.array(schedule), JSON.parse(text))) if (groups.has(kept.GroupName)) put(kept);
  }

  return {
    async handle(request, response) {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://scheduler');
      if (pathname === '/schedules' && request.method === 'GET') {
        answer(response, 200, list(searchParams));
        return;
      }
      const [, encoded] = /^\/schedules\/([^/]+)$/.exec(pathname) ?? [];
      if (encoded === undefined)
        throw new AwsError(400, 'ValidationException', `The local stack knows no ${request.method} ${pathname}.`);
      const name = v.safeParse(scheduleName, decodeURIComponent(encoded));
      if (!name.success) throw new AwsError(400, 'ValidationException', name.issues[0].message);
      const key = keyOf({ GroupName: searchParams.get('groupName') ?? 'default', Name: name.output });
      switch (request.method) {
        case 'POST': {
          const next = await read(request, name.output);
          if (schedules.has(keyOf(next)))
            throw new AwsError(409, 'ConflictException', `Schedule ${name.output} already exists.`);
          put(next);
          await save();
          answer(response, 200, { ScheduleArn: arnOf(keyOf(next)) });
          return;
        }
        case 'PUT': {
          const next = await read(request, name.output);
          put({ ...next, created: existing(keyOf(next)).created });
          await save();
          answer(response, 200, { ScheduleArn: arnOf(keyOf(next)) });
          return;
        }
        case 'GET': {
          const { created, modified, ...found } = existing(key);
          answer(response, 200, {
            ...found,
            Arn: arnOf(key),
            CreationDate: created / 1_000,
            LastModificationDate: modified / 1_000,
          });
          return;
        }
        case 'DELETE':
          existing(key);
          schedules.get(key)?.cancel();
          schedules.delete(key);
          await save();
          answer(response, 200, {});
          return;
        default:
          throw new AwsError(400, 'ValidationException', `The local stack knows no ${request.method} ${pathname}.`);
      }
    },
    async close() {
      controller.abort();
      for (const { cancel } of schedules.values()) cancel();
      await Promise.allSettled([...firing]);
      await saving;
    },
  };
}
