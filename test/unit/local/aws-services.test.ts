import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import {
  CreateScheduleCommand,
  type CreateScheduleCommandInput,
  DeleteScheduleCommand,
  GetScheduleCommand,
  SchedulerClient,
  UpdateScheduleCommand,
} from '@aws-sdk/client-scheduler';
import { ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import * as v from 'valibot';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createAwsEndpoint } from '../../../local/aws/aws-endpoint.ts';
import { createEventBuses } from '../../../local/eventbridge/event-bus.ts';
import type { EventSourceMapping } from '../../../local/lambda/event-source-mapping.ts';
import { createAsyncInvoke } from '../../../local/lambda/invoke-async.ts';
import { type LocalFunction, MAX_PAYLOAD_BYTES } from '../../../local/lambda/lambda.ts';
import { createLambdaApi } from '../../../local/lambda/lambda-api.ts';
import { listen } from '../../../local/listen.ts';
import { callAt, oneOffTime } from '../../../local/scheduler/schedule-time.ts';
import { startScheduler } from '../../../local/scheduler/scheduler.ts';
import { startQueueMapping } from '../../../local/sqs/queue-mapping.ts';
import { createQueue, createSqs, type Queue } from '../../../local/sqs/sqs.ts';
import { localFunction } from '../../support/local-function.ts';

/* The local SQS, EventBridge, EventBridge Scheduler and Lambda, called with AWS's own clients. */

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const ARN = 'arn:aws:lambda:us-east-1:000000000000:function:target';

/** A function that records its events. `act` returns its result or throws. */
function functionThat(act: (event: unknown) => unknown = () => null): LocalFunction & { readonly events: unknown[] } {
  const events: unknown[] = [];
  const fn = localFunction(
    'target',
    (event) => {
      events.push(event);
      return act(event);
    },
    ARN,
  );
  return { ...fn, events };
}

async function start(options: { fn?: LocalFunction; file?: string } = {}) {
  const lines: string[] = [];
  const log = (source: string, text: string): void => void lines.push(`${source}: ${text}`);
  const fn = options.fn ?? functionThat();
  const discarded: string[] = [];
  const sendToQueue = async (destination: string, body: string): Promise<void> =>
    void discarded.push(`${destination} ${body}`);
  const sqs = await createSqs();
  const buses = createEventBuses(['rooms-local'], log);
  const scheduler = await startScheduler({
    groups: ['rooms-local'],
    invoke: createAsyncInvoke(new Map([[ARN, fn]]), sendToQueue, log),
    file: options.file,
    log,
  });
  const server = await listen(
    createAwsEndpoint({ sqs, buses, scheduler, lambda: createLambdaApi(new Map([[ARN, fn]])) }, log),
    0,
  );
  closers.push(sqs.close, scheduler.close, server.close);
  const config = {
    endpoint: server.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
    maxAttempts: 1,
  };
  return { config, buses, lines, url: server.url, stopScheduler: scheduler.close };
}

const failure = (name: string, httpStatusCode: number) => ({ name, $metadata: { httpStatusCode } });

describe('EventBridge', () => {
  test('keeps published events, in the format for rules', async () => {
    const { config, buses, lines } = await start();
    const client = new EventBridgeClient(config);
    const entry = { EventBusName: 'rooms-local', Source: 'rooms', DetailType: 'room_ended', Detail: '{"room_id":"1"}' };
    const { FailedEntryCount, Entries } = await client.send(
      new PutEventsCommand({
        Entries: [
          { ...entry, Time: new Date('2026-03-01T10:00:00.500Z') },
          { ...entry, Detail: 'no JSON' },
          { ...entry, EventBusName: 'another' },
        ],
      }),
    );
    expect(FailedEntryCount).toBe(1);
    expect(Entries?.map(({ ErrorCode }) => ErrorCode)).toEqual([undefined, 'MalformedDetail', undefined]);
    expect(buses.recent()).toEqual([
      {
        'event-bus': 'rooms-local',
        version: '0',
        id: Entries?.[0]?.EventId,
        'detail-type': 'room_ended',
        source: 'rooms',
        account: '000000000000',
        time: '2026-03-01T10:00:00Z',
        region: 'us-east-1',
        resources: [],
        detail: { room_id: '1' },
      },
    ]);
    expect(lines.join('\n')).toContain('another, which is not in the templates');
    const eleven = Array.from({ length: 11 }, () => entry);
    await expect(client.send(new PutEventsCommand({ Entries: eleven }))).rejects.toMatchObject({
      name: 'ValidationException',
    });
  });

  test('drops the oldest events', async () => {
    const { config, buses } = await start();
    const client = new EventBridgeClient(config);
    for (let call = 0; call < 101; call += 1)
      await client.send(
        new PutEventsCommand({
          Entries: Array.from({ length: 10 }, (_, index) => ({
            ...{ EventBusName: 'rooms-local', Source: 'rooms', DetailType: 'x' },
            Detail: JSON.stringify({ number: call * 10 + index }),
          })),
        }),
      );
    expect(buses.recent()).toHaveLength(1_000);
    expect(buses.recent()[0]?.detail).toEqual({ number: 10 });
  });
});

describe('Lambda', () => {
  const invoke = (
    client: LambdaClient,
    Payload: string,
    more: { FunctionName?: string; InvocationType?: 'Event' } = {},
  ) => client.send(new InvokeCommand({ FunctionName: ARN, Payload, ...more }));

  test('invokes a function by its ARN or name, and returns its result', async () => {
    const fn = functionThat((event) => ({ got: event }));
    const { config } = await start({ fn });
    const client = new LambdaClient(config);
    for (const FunctionName of [ARN, 'target']) {
      const { StatusCode, FunctionError, Payload } = await invoke(client, '{"text":"Grüße"}', { FunctionName });
      expect([StatusCode, FunctionError]).toEqual([200, undefined]);
      expect(JSON.parse(Payload?.transformToString() ?? '')).toEqual({ got: { text: 'Grüße' } });
    }
    expect(fn.events).toHaveLength(2);
  });

  test('reports the error of a function', async () => {
    const fn = functionThat(() => {
      throw new Error('no');
    });
    const { config } = await start({ fn });
    const { FunctionError, Payload } = await invoke(new LambdaClient(config), '{}');
    expect(FunctionError).toBe('Unhandled');
    expect(JSON.parse(Payload?.transformToString() ?? '')).toEqual({ errorType: 'Error', errorMessage: 'no' });
  });

  test('rejects what Lambda rejects: an unknown function, and an event that is too large', async () => {
    const fn = functionThat();
    const { config } = await start({ fn });
    const client = new LambdaClient(config);
    await expect(invoke(client, '{}', { FunctionName: 'another' })).rejects.toMatchObject(
      failure('ResourceNotFoundException', 404),
    );
    await expect(invoke(client, JSON.stringify('x'.repeat(MAX_PAYLOAD_BYTES)))).rejects.toMatchObject(
      failure('RequestTooLargeException', 413),
    );
    // The code never invokes functions asynchronously, so the local Lambda does not support this.
    await expect(invoke(client, '{}', { InvocationType: 'Event' })).rejects.toMatchObject(
      failure('UnknownOperationException', 400),
    );
    expect(fn.events).toEqual([]);
  });
});

const at = (time: Date): string => `at(${time.toISOString().slice(0, 19)})`;
const schedule = (due: Date, more: Partial<CreateScheduleCommandInput> = {}): CreateScheduleCommandInput => ({
  GroupName: 'rooms-local',
  Name: '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01-start',
  ScheduleExpression: at(due),
  ScheduleExpressionTimezone: 'UTC',
  FlexibleTimeWindow: { Mode: 'OFF' },
  ActionAfterCompletion: 'DELETE',
  Target: { Arn: ARN, RoleArn: 'arn:aws:iam::000000000000:role/role', Input: '{"moment":"start"}' },
  ...more,
});
const far = new Date(Date.now() + 10 * 365 * 86_400_000);

describe('EventBridge Scheduler', () => {
  test('fires a schedule once at its time, with its input, and deletes it', async () => {
    const fn = functionThat();
    const { config } = await start({ fn });
    const client = new SchedulerClient(config);
    const due = new Date(Date.now() + 2_000);
    await client.send(new CreateScheduleCommand(schedule(due)));
    expect(fn.events).toEqual([]);
    await expect.poll(() => fn.events, { timeout: 30_000 }).toEqual([{ moment: 'start' }]);
    expect(Date.now()).toBeGreaterThanOrEqual(Math.floor(due.getTime() / 1_000) * 1_000);
    const { Name, GroupName } = schedule(due);
    const get = () => client.send(new GetScheduleCommand({ Name, GroupName }));
    await expect.poll(() => get().catch(({ name }: Error) => name)).toBe('ResourceNotFoundException');
  });

  test('creates, changes, shows and deletes schedules, with the errors of AWS', async () => {
    const { config } = await start();
    const client = new SchedulerClient(config);
    const { Name, GroupName } = schedule(far);
    const missing = failure('ResourceNotFoundException', 404);
    await expect(client.send(new UpdateScheduleCommand(schedule(far)))).rejects.toMatchObject(missing);
    await expect(client.send(new DeleteScheduleCommand({ Name, GroupName }))).rejects.toMatchObject(missing);
    expect(await client.send(new CreateScheduleCommand(schedule(far)))).toMatchObject({
      ScheduleArn: `arn:aws:scheduler:us-east-1:000000000000:schedule/rooms-local/${Name}`,
    });
    await expect(client.send(new CreateScheduleCommand(schedule(far)))).rejects.toMatchObject(
      failure('ConflictException', 409),
    );
    const sooner = new Date(far.getTime() - 86_400_000);
    await client.send(new UpdateScheduleCommand(schedule(sooner)));
    expect(await client.send(new GetScheduleCommand({ Name, GroupName }))).toMatchObject({
      Name,
      ScheduleExpression: at(sooner),
      CreationDate: expect.any(Date),
    });
    await client.send(new DeleteScheduleCommand({ Name, GroupName }));
    await expect(client.send(new GetScheduleCommand({ Name, GroupName }))).rejects.toMatchObject(missing);
  });

  test('rejects unsupported schedules', async () => {
    const { config } = await start();
    const client = new SchedulerClient(config);
    const create = (more: Partial<CreateScheduleCommandInput>) =>
      client.send(new CreateScheduleCommand(schedule(far, more)));
    const invalid = failure('ValidationException', 400);
    await expect(create({ ScheduleExpression: 'rate(5 minutes)' })).rejects.toMatchObject(invalid);
    await expect(create({ ScheduleExpressionTimezone: 'Europe/Berlin' })).rejects.toMatchObject(invalid);
    await expect(create({ Name: 'a b' })).rejects.toMatchObject(invalid);
    await expect(create({ GroupName: 'other' })).rejects.toMatchObject(failure('ResourceNotFoundException', 404));
  });

  test('retries if the function fails', async () => {
    let failures = 1;
    const fn = functionThat(() => {
      if (failures-- > 0) throw new Error('not yet');
    });
    const { config } = await start({ fn });
    await new SchedulerClient(config).send(new CreateScheduleCommand(schedule(new Date())));
    await expect.poll(() => fn.events, { timeout: 30_000 }).toHaveLength(2);
  });

  test('stores schedules in a file, and fires those that became due in the meantime', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'rooms-schedules-'));
    closers.push(() => rm(directory, { recursive: true }));
    const file = join(directory, 'schedules.json');
    const first = await start({ file });
    const due = new Date(Date.now() + 2_000);
    await new SchedulerClient(first.config).send(new CreateScheduleCommand(schedule(due)));
    await first.stopScheduler();
    const fn = functionThat();
    await start({ fn, file });
    await expect.poll(() => fn.events, { timeout: 30_000 }).toEqual([{ moment: 'start' }]);
  });
});

describe('the time of a schedule', () => {
  test('is a time in UTC', () => {
    expect(oneOffTime('at(2026-11-24T09:30:05)', undefined)).toBe(Date.UTC(2026, 10, 24, 9, 30, 5));
    for (const wrong of [
      'at(2026-02-30T00:00:00)',
      'at(2026-11-24T09:30)',
      'cron(0 9 * * ? *)',
      'at(2026-11-24T25:00:00)',
    ])
      expect(() => oneOffTime(wrong, 'UTC')).toThrow('Invalid Schedule Expression');
  });

  test('may be later than the longest timer', () => {
    vi.useFakeTimers();
    try {
      const days = 60 * 86_400_000;
      const called = vi.fn();
      callAt(Date.now() + days, called);
      vi.advanceTimersByTime(days - 1);
      expect(called).not.toHaveBeenCalled();
      vi.advanceTimersByTime(1);
      expect(called).toHaveBeenCalledTimes(1);
      const off = callAt(Date.now() + days, called);
      vi.advanceTimersByTime(days / 2);
      off();
      vi.advanceTimersByTime(days);
      expect(called).toHaveBeenCalledTimes(1);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('SQS', () => {
  const mapping: EventSourceMapping = {
    ...{ sourceArn: '', functionName: 'target', batchSize: 10, passes: () => true, bisect: false, retryAttempts: 0 },
    ...{ maxRecordAgeSeconds: 0, parallelizationFactor: 1, reportsItemFailures: true, onFailure: undefined },
    maxConcurrency: 2,
    startingPosition: 'LATEST',
  };
  const records = v.object({ Records: v.array(v.object({ messageId: v.string(), body: v.string() })) });

  test('delivers messages to a function, retries failed ones, and finally moves them to the dead-letter queue', async () => {
    const { config, url, lines } = await start();
    const client = new SQSClient(config);
    const queueOf = (name: string, properties: Queue['properties']): Queue => ({
      name,
      url: `${url}/000000000000/${name}`,
      arn: `arn:aws:sqs:us-east-1:000000000000:${name}`,
      properties,
    });
    const dead = queueOf('dead', {});
    const queue = queueOf('presence', {
      VisibilityTimeout: 1,
      RedrivePolicy: { deadLetterTargetArn: dead.arn, maxReceiveCount: 2 },
    });
    for (const each of [dead, queue]) await createQueue(client, each);
    const fn = functionThat((event) => ({
      batchItemFailures: v
        .parse(records, event)
        .Records.filter(({ body }) => body === 'poison')
        .map(({ messageId }) => ({ itemIdentifier: messageId })),
    }));
    const log = (source: string, text: string): void => void lines.push(`${source}: ${text}`);
    const pollers = startQueueMapping({ mapping, fn, region: 'us-east-1', queue, client, log });
    closers.push(pollers.close);
    const sentAt = Date.now();
    const send = (MessageBody: string, DelaySeconds = 0) =>
      client.send(new SendMessageCommand({ QueueUrl: queue.url, MessageBody, DelaySeconds }));
    await Promise.all([send('later', 2), send('poison'), send('good')]);

    const bodies = () => fn.events.flatMap((event) => v.parse(records, event).Records.map(({ body }) => body));
    await expect.poll(() => bodies().sort(), { timeout: 30_000 }).toEqual(['good', 'later', 'poison', 'poison']);
    expect(Date.now() - sentAt).toBeGreaterThanOrEqual(2_000);
    await expect
      .poll(
        async () => {
          const { Messages } = await client.send(new ReceiveMessageCommand({ QueueUrl: dead.url }));
          return Messages?.map(({ Body }) => Body);
        },
        { timeout: 30_000 },
      )
      .toEqual(['poison']);
    expect(lines.join('\n')).toMatch(/receive 1; the message is retried: poison/);
    expect(lines.join('\n')).toMatch(/receive 2; the message goes to the dead-letter queue .*:dead: poison/);
  });

  test('rejects unsigned requests, which a web page could send', async () => {
    const { url } = await start();
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'x-amz-target': 'AmazonSQS.ListQueues' },
      body: '{}',
    });
    expect(response.status).toBe(403);
  });
});
