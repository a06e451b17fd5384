import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DescribeTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import * as v from 'valibot';
import { readWebSocketApis, type WebSocketApi } from './apigateway/websocket-api.ts';
import { createWebSocketGateway, type WebSocketGateway } from './apigateway/websocket-gateway.ts';
import { createAwsEndpoint } from './aws/aws-endpoint.ts';
import { physicalOf, tableOfStream } from './cloudformation/resources.ts';
import { REGION, type Resolver, type Resource } from './cloudformation/template.ts';
import { type BusEvent, createEventBuses } from './eventbridge/event-bus.ts';
import { type EventSourceMapping, readEventSourceMappings } from './lambda/event-source-mapping.ts';
import { createAsyncInvoke } from './lambda/invoke-async.ts';
import type { LocalFunction } from './lambda/lambda.ts';
import { createLambdaApi } from './lambda/lambda-api.ts';
import { listen } from './listen.ts';
import type { LocalUrls } from './local-urls.ts';
import type { Log } from './log.ts';
import { readIfExists } from './read-if-exists.ts';
import { CREDENTIALS } from './s3/s3.ts';
import { startScheduler } from './scheduler/scheduler.ts';
import { startQueueMapping } from './sqs/queue-mapping.ts';
import { createQueue, createSqs, type Queue, queueProperties } from './sqs/sqs.ts';
import { createStreamMapping, type StreamMapping } from './streams/stream-mapping.ts';
import { readStream, type StreamReader } from './streams/stream-reader.ts';

/*
 * Runs the real-time resources of the templates: the WebSocket API, event source mappings, queues, schedules and the event bus.
 */

export interface Realtime {
  /** URL of the WebSocket API. */
  readonly ws: string;
  /** The servers of the WebSocket API, and of SQS, EventBridge, EventBridge Scheduler and Lambda. */
  readonly ports: { readonly ws: number; readonly aws: number };
  /** Environment variables with the local endpoints of SQS, EventBridge, EventBridge Scheduler and Lambda. */
  readonly environment: Readonly<Record<string, string>>;
  /** Local addresses of the URLs in the templates. */
  readonly urls: LocalUrls;
  /** Starts to serve and to process writes to the table. `functions` are the functions of the templates, by ARN. */
  start(functions: ReadonlyMap<string, LocalFunction>): Promise<void>;
  /** Reads the table's stream soon. Call it after each invocation, because the function may have written to the table. */
  invoked(): void;
  /** The last events on the buses, oldest first. */
  readonly recentEvents: () => readonly BusEvent[];
  close(): Promise<void>;
}

const unavailable = (response: { writeHead(status: number): { end(): unknown } }): unknown =>
  response.writeHead(503).end();

/**
 * Opens the ports of the real-time resources. Serving begins later, with `start`, because the functions need the URLs first.
 *
 * @param ports 0 for any free port
 * @param dataDirectory the folder that stores schedules between runs
 */
export async function openRealtime(options: {
  resolver: Resolver;
  dynamodbUrl: string;
  ports: { readonly ws: number; readonly aws: number };
  dataDirectory: string | undefined;
  log: Log;
}): Promise<Realtime> {
  const { resolver, dynamodbUrl, ports, dataDirectory, log } = options;
  const closers: (() => Promise<unknown>)[] = [];
  const closeLater = <T extends { close(): Promise<unknown> }>(part: T): T => {
    closers.push(() => part.close());
    return part;
  };
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };

  try {
    const api = onlyApi(resolver);
    let gateway: WebSocketGateway | undefined;
    const sockets = closeLater(
      await listen(
        (request, response) => (gateway ? gateway.handle(request, response) : unavailable(response)),
        ports.ws,
        (request, socket, head) => (gateway ? gateway.upgrade(request, socket, head) : socket.destroy()),
      ),
    );
    let serveAws: ReturnType<typeof createAwsEndpoint> | undefined;
    const aws = closeLater(
      await listen((request, response) => (serveAws ? serveAws(request, response) : unavailable(response)), ports.aws),
    );
    const sqs = closeLater(await createSqs());
    const buses = createEventBuses(namesOf('AWS::Events::EventBus', resolver), log);
    const ws = sockets.url.replace(/^http/, 'ws');
    const host = `${api.id}.execute-api.${REGION}.amazonaws.com`;

    const streams: StreamReader[] = [];

    async function start(functions: ReadonlyMap<string, LocalFunction>): Promise<void> {
      const client = new SQSClient({ endpoint: aws.url, region: REGION, credentials: CREDENTIALS });
      closers.push(async () => client.destroy());
      const queues = readQueues(resolver, aws.url);
      const queueOf = (arn: string): Queue => {
        const queue = queues.find((each) => each.arn === arn);
        if (!queue) throw new Error(`The queue ${arn} is not in the templates.`);
        return queue;
      };
      const sendToQueue = async (arn: string, body: string): Promise<void> => {
        await client.send(new SendMessageCommand({ QueueUrl: queueOf(arn).url, MessageBody: body }));
      };
      const scheduler = closeLater(
        await startScheduler({
          groups: namesOf('AWS::Scheduler::ScheduleGroup', resolver),
          invoke: createAsyncInvoke(functions, sendToQueue, log),
          file: dataDirectory && join(dataDirectory, 'schedules.json'),
          log,
        }),
      );
      serveAws = createAwsEndpoint({ sqs, buses, scheduler, lambda: createLambdaApi(functions) }, log);
      for (const queue of queues) await createQueue(client, queue);

      const functionOf = ({ functionName }: EventSourceMapping): LocalFunction => {
        const fn = [...functions.values()].find(({ config }) => [config.arn, config.name].includes(functionName));
        if (!fn) throw new Error(`The function ${functionName} of an event source mapping is not in the templates.`);
        return fn;
      };
      const made = await madeMappings(dataDirectory);
      const readers = new Map<
        string,
        { from: EventSourceMapping['startingPosition']; sourceArn: string; parts: StreamMapping[] }
      >();
      for (const mapping of readEventSourceMappings(resolver)) {
        const fn = functionOf(mapping);
        const { sourceArn } = mapping;
        if (sourceArn.startsWith('arn:aws:sqs:')) {
          const queue = queueOf(sourceArn);
          closeLater(startQueueMapping({ mapping, fn, region: REGION, queue, client, log }));
          continue;
        }
        const part = closeLater(createStreamMapping({ mapping, fn, region: REGION, sendToQueue, log }));
        // The starting position applies only to new mappings. A mapping of an earlier run continues with new records.
        const from = made.has(fn.config.name) ? 'LATEST' : mapping.startingPosition;
        const { parts } = readers.get(`${sourceArn} ${from}`) ?? { parts: [] };
        readers.set(`${sourceArn} ${from}`, { from, sourceArn, parts: [...parts, part] });
        made.add(fn.config.name);
      }
      // Each stream is read once for all mappings with the same position.
      for (const { from, sourceArn, parts } of readers.values())
        streams.push(
          closeLater(
            await readStream({
              endpoint: dynamodbUrl,
              streamArn: await streamOf(sourceArn, dynamodbUrl),
              startingPosition: from,
              take: (records, shardId) => {
                for (const part of parts) part.take(records, shardId);
              },
              log,
            }),
          ),
        );
      await keepMappings(dataDirectory, made);
      gateway = closeLater(createWebSocketGateway(api, { functions, log }));
    }

    return {
      ws: `${ws}/${api.stage}`,
      ports: { ws: sockets.port, aws: aws.port },
      environment: {
        AWS_ENDPOINT_URL_SQS: aws.url,
        AWS_ENDPOINT_URL_EVENTBRIDGE: aws.url,
        AWS_ENDPOINT_URL_SCHEDULER: aws.url,
        AWS_ENDPOINT_URL_LAMBDA: aws.url,
      },
      urls: {
        [`https://${host}`]: sockets.url,
        [`wss://${host}`]: ws,
        [`https://sqs.${REGION}.amazonaws.com`]: aws.url,
      },
      start,
      invoked: () => {
        for (const stream of streams) stream.expectRecords();
      },
      recentEvents: buses.recent,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const idOf =
  (resolver: Resolver) =>
  (resource: Resource): string => {
    const physical = physicalOf(resource, resolver);
    if (!physical) throw new Error(`${resource.stack}/${resource.id}: the local stack has no ${resource.type}.`);
    return physical.ref;
  };

function onlyApi(resolver: Resolver): WebSocketApi {
  const [api, ...others] = readWebSocketApis(resolver, idOf(resolver));
  if (!api || others.length > 0)
    throw new Error(`The local stack serves one WebSocket API; the templates have ${api ? others.length + 1 : 0}.`);
  return api;
}

const namesOf = (type: string, resolver: Resolver): string[] => resolver.ofType(type).map(idOf(resolver));

/** Returns the queues in the order of creation. Those with a redrive policy are last, because their dead-letter queue must exist. */
function readQueues(resolver: Resolver, url: string): Queue[] {
  const queues = resolver.ofType('AWS::SQS::Queue').map((resource): Queue => {
    const { QueueName = '', Arn = '' } = physicalOf(resource, resolver)?.attributes ?? {};
    const path = new URL(idOf(resolver)(resource)).pathname;
    return { name: QueueName, arn: Arn, url: url + path, properties: resolver.read(resource, queueProperties) };
  });
  return queues.sort(
    (a, b) => Number(Boolean(a.properties.RedrivePolicy)) - Number(Boolean(b.properties.RedrivePolicy)),
  );
}

/** The functions whose event source mappings were created by an earlier run with the same data. */
async function madeMappings(dataDirectory: string | undefined): Promise<Set<string>> {
  if (dataDirectory === undefined) return new Set();
  const text = (await readIfExists(join(dataDirectory, MAPPINGS))) ?? '[]';
  return new Set(v.parse(v.array(v.string()), JSON.parse(text)));
}

async function keepMappings(dataDirectory: string | undefined, made: ReadonlySet<string>): Promise<void> {
  if (dataDirectory !== undefined) await writeFile(join(dataDirectory, MAPPINGS), JSON.stringify([...made]));
}

const MAPPINGS = 'event-source-mappings.json';

/** Returns the ARN of a template's stream in DynamoDB Local, which assigns its own. */
async function streamOf(arn: string, endpoint: string): Promise<string> {
  const client = new DynamoDBClient({ endpoint, region: REGION, credentials: CREDENTIALS });
  try {
    const { Table } = await client.send(new DescribeTableCommand({ TableName: tableOfStream(arn) }));
    return v.parse(v.object({ LatestStreamArn: v.string() }), Table).LatestStreamArn;
  } finally {
    client.destroy();
  }
}
