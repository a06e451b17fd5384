import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import * as v from 'valibot';
import { laneRequests, resetLanes, takeForLane } from './lanes.ts';

/*
 * A local server for the used parts of SQS, EventBridge and EventBridge Scheduler. It speaks their wire formats,
 * enforces their rules, and records the requests.
 */

const queued = v.strictObject({
  QueueUrl: v.string(),
  MessageBody: v.string(),
  DelaySeconds: v.number(),
});
const laned = v.strictObject({
  QueueUrl: v.pipe(v.string(), v.endsWith('/lane.fifo')),
  MessageBody: v.string(),
  MessageGroupId: v.pipe(v.string(), v.maxLength(128)),
  MessageDeduplicationId: v.pipe(v.string(), v.maxLength(128)),
});
const onMessages = v.object({
  QueueUrl: v.pipe(v.string(), v.endsWith('/lane.fifo')),
  Entries: v.pipe(v.array(v.object({ Id: v.string(), ReceiptHandle: v.string() })), v.minLength(1), v.maxLength(10)),
});
const entry = v.strictObject({
  EventBusName: v.string(),
  Source: v.string(),
  DetailType: v.string(),
  Detail: v.string(),
  Time: v.number(),
});
/** EventBridge accepts at most 10 entries per call. */
const entries = v.strictObject({ Entries: v.pipe(v.array(entry), v.minLength(1), v.maxLength(10)) });
const schedule = v.object({
  GroupName: v.string(),
  ScheduleExpression: v.pipe(v.string(), v.regex(/^at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)$/)),
  ScheduleExpressionTimezone: v.literal('UTC'),
  FlexibleTimeWindow: v.strictObject({ Mode: v.literal('OFF') }),
  ActionAfterCompletion: v.picklist(['DELETE', 'NONE']),
  Target: v.strictObject({
    Arn: v.string(),
    RoleArn: v.string(),
    Input: v.string(),
    RetryPolicy: v.strictObject({
      MaximumRetryAttempts: v.pipe(v.number(), v.minValue(0), v.maxValue(185)),
      MaximumEventAgeInSeconds: v.pipe(v.number(), v.minValue(60), v.maxValue(86_400)),
    }),
  }),
});

export type Schedule = v.InferOutput<typeof schedule>;
type Service = 'sqs' | 'events' | 'scheduler';

export interface Services {
  /** The messages in the presence queue. For the lanes, see lanes.ts. */
  readonly messages: v.InferOutput<typeof queued>[];
  /** The entries that EventBridge received, grouped by call. */
  readonly puts: v.InferOutput<typeof entry>[][];
  /** All published events in order, with parsed details. */
  events(): { type: string; room_id: string; data: unknown; sent_at: string }[];
  /** The existing schedules, by name. */
  readonly schedules: Map<string, Schedule>;
  /** The calls to Scheduler, such as `CREATE <name>`. */
  readonly schedulerCalls: string[];
  /**
   * The services that fail: true means a 500 for every request, `entry` means that EventBridge rejects the first entry
   * of each call.
   */
  readonly broken: { sqs: boolean; events: boolean | 'entry'; scheduler: boolean };
  /** Called with every request. The response waits until it has finished. */
  onRequest: ((service: Service) => void | Promise<void>) | undefined;
  reset(): void;
  close(): Promise<void>;
}

const VERBS: Readonly<Record<string, string>> = { POST: 'CREATE', PUT: 'UPDATE', DELETE: 'DELETE' };

/** Starts the server, and sets this process's endpoints of these services to it. */
export async function startServices(): Promise<Services> {
  const sound = { sqs: false, events: false, scheduler: false } as const;
  const services: Services = {
    messages: [],
    puts: [],
    events: () => services.puts.flat().map(({ DetailType, Detail }) => ({ type: DetailType, ...JSON.parse(Detail) })),
    schedules: new Map(),
    schedulerCalls: [],
    broken: { ...sound },
    onRequest: undefined,
    reset() {
      services.messages.length = 0;
      resetLanes();
      services.puts.length = 0;
      services.schedules.clear();
      services.schedulerCalls.length = 0;
      services.onRequest = undefined;
      Object.assign(services.broken, sound);
    },
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };

  /** Status, body, and for failures the name of the exception. */
  type Answer = readonly [status: number, body: object, exception?: string];
  const broken: Answer = [500, { message: 'injected' }, 'InternalServerException'];

  function onSqs(action: string, body: unknown): Answer {
    if (action !== 'SendMessage') {
      const { Entries } = v.parse(onMessages, body);
      laneRequests[action === 'DeleteMessageBatch' ? 'deleted' : 'retried'] += Entries.length;
      return [200, { Successful: Entries.map(({ Id }) => ({ Id })), Failed: [] }];
    }
    const message = v.parse(v.union([queued, laned]), body);
    if ('MessageGroupId' in message)
      takeForLane({
        group: message.MessageGroupId,
        deduplication: message.MessageDeduplicationId,
        body: message.MessageBody,
      });
    else services.messages.push(message);
    const MD5OfMessageBody = createHash('md5').update(message.MessageBody).digest('hex');
    return [200, { MessageId: randomUUID(), MD5OfMessageBody }];
  }
  function onEvents(body: unknown): Answer {
    const { Entries } = v.parse(entries, body);
    services.puts.push(Entries);
    const refused = services.broken.events === 'entry' ? 1 : 0;
    return [
      200,
      {
        FailedEntryCount: refused,
        Entries: Entries.map((_, n) =>
          n < refused ? { ErrorCode: 'ThrottlingException', ErrorMessage: 'injected' } : { EventId: randomUUID() },
        ),
      },
    ];
  }
  function onScheduler(method: string, name: string, body: unknown): Answer {
    services.schedulerCalls.push(`${VERBS[method]} ${name}`);
    const there = services.schedules.has(name);
    if (method === 'POST' && there) return [409, { Message: `Schedule ${name} already exists.` }, 'ConflictException'];
    if (method !== 'POST' && !there)
      return [404, { Message: `Schedule ${name} does not exist.` }, 'ResourceNotFoundException'];
    if (method === 'DELETE') services.schedules.delete(name);
    else services.schedules.set(name, v.parse(schedule, body));
    return [200, method === 'DELETE' ? {} : { ScheduleArn: `arn:aws:scheduler:us-east-1:0:schedule/${name}` }];
  }

  const server = createServer(async (req, res) => {
    const url = new URL(req.url ?? '', 'http://localhost');
    const target = String(req.headers['x-amz-target'] ?? '');
    const service: Service = target.startsWith('AmazonSQS.')
      ? 'sqs'
      : target === 'AWSEvents.PutEvents'
        ? 'events'
        : 'scheduler';
    const body: unknown = req.method === 'DELETE' ? undefined : await json(req);
    await services.onRequest?.(service);
    let answer: Answer;
    try {
      if (services.broken[service] === true) answer = broken;
      else if (service === 'sqs') answer = onSqs(target.split('.')[1] ?? '', body);
      else if (service === 'events') answer = onEvents(body);
      else answer = onScheduler(req.method ?? '', decodeURIComponent(url.pathname.split('/').at(-1) ?? ''), body);
    } catch (error) {
      answer = [400, { message: String(error) }, 'ValidationException'];
    }
    const [status, result, exception] = answer;
    res.writeHead(status, {
      'content-type': service === 'scheduler' ? 'application/json' : 'application/x-amz-json-1.1',
      ...(exception && { 'x-amzn-errortype': exception }),
    });
    res.end(JSON.stringify(exception && service !== 'scheduler' ? { __type: exception, ...result } : result));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_SQS: url,
    AWS_ENDPOINT_URL_EVENTBRIDGE: url,
    AWS_ENDPOINT_URL_SCHEDULER: url,
    PRESENCE_QUEUE_URL: `${url}/000000000000/presence`,
    LANE_QUEUE_URL: `${url}/000000000000/lane.fifo`,
    EVENT_BUS_NAME: 'rooms-test',
    SCHEDULE_GROUP: 'rooms-test',
    SCHEDULE_ROLE_ARN: 'arn:aws:iam::000000000000:role/schedules',
    ANNOUNCE_FUNCTION_ARN: 'arn:aws:lambda:us-east-1:000000000000:function:announce',
  });
  return services;
}
