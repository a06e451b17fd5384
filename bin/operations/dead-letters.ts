import {
  type DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ResourceNotFoundException,
  type _Record as StreamRecord,
  TrimmedDataAccessException,
} from '@aws-sdk/client-dynamodb-streams';
import { InvokeCommand, type LambdaClient, ListEventSourceMappingsCommand } from '@aws-sdk/client-lambda';
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import * as v from 'valibot';
import { eventFunctions, type WithDeadLetters } from '../../lib/event-functions.ts';
import { compileFilters } from '../../tools/aws/event-pattern.ts';

/*
 * Dead letters: events that a function could not process. Those of `announce` are the events of its invocations,
 * those of `presence` and `lane` the messages of their queues. Those of stream readers are positions in the table's stream.
 */

export interface Clients {
  readonly sqs: SQSClient;
  readonly lambda: LambdaClient;
  readonly streams: DynamoDBStreamsClient;
}

/** A deployed function and its dead-letter queue. */
export interface Target {
  readonly name: WithDeadLetters;
  /** Name or ARN of the function. */
  readonly functionName: string;
  readonly queueUrl: string;
}

export interface DeadLetter {
  readonly id: string;
  readonly body: string;
  readonly sentAt: Date;
  readonly receipt: string;
}

/**
 * `taken`: the function has processed the letter. `failed`: the function has failed again. `gone`: the stream no longer
 * has the records of the letter.
 */
export type Outcome = 'taken' | 'failed' | 'gone';

/** How long a letter stays invisible to other consumers, in seconds. An invocation takes at most 1 minute. */
const HIDDEN_SECONDS = 120;

const deadLetterOf = ({ MessageId = '', Body = '', ReceiptHandle = '', Attributes }: Message): DeadLetter => ({
  id: MessageId,
  body: Body,
  sentAt: new Date(Number(Attributes?.SentTimestamp)),
  receipt: ReceiptHandle,
});

/**
 * Returns the letters of a queue, each once. They are invisible to others until they are released, or for two
 * minutes.
 */
export async function* deadLettersOf({ sqs }: Clients, { queueUrl }: Target): AsyncGenerator<DeadLetter> {
  const seen = new Set<string>();
  for (;;) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: queueUrl,
        MaxNumberOfMessages: 10,
        VisibilityTimeout: HIDDEN_SECONDS,
        // Long polling queries all servers of SQS. Without it, a response can be empty although there are messages.
        WaitTimeSeconds: 2,
        MessageSystemAttributeNames: ['SentTimestamp'],
      }),
    );
    const fresh = Messages.map(deadLetterOf).filter(({ id }) => !seen.has(id));
    if (fresh.length === 0) return;
    for (const letter of fresh) {
      seen.add(letter.id);
      yield letter;
    }
  }
}

export const discard = async ({ sqs }: Clients, { queueUrl }: Target, { receipt }: DeadLetter): Promise<void> => {
  await sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle: receipt }));
};

/** Makes a letter visible to others again. */
export const release = async ({ sqs }: Clients, { queueUrl }: Target, { receipt }: DeadLetter): Promise<void> => {
  await sqs.send(
    new ChangeMessageVisibilityCommand({ QueueUrl: queueUrl, ReceiptHandle: receipt, VisibilityTimeout: 0 }),
  );
};

const note = v.object({
  DDBStreamBatchInfo: v.object({
    shardId: v.string(),
    startSequenceNumber: v.string(),
    endSequenceNumber: v.string(),
    batchSize: v.number(),
    streamArn: v.string(),
  }),
});
type Note = v.InferOutput<typeof note>['DDBStreamBatchInfo'];

/** Returns the records that a letter of a stream reader refers to. Undefined if the stream, which keeps records for 24 hours, has deleted them. */
async function recordsOf({ streams }: Clients, about: Note): Promise<StreamRecord[] | undefined> {
  const { streamArn: StreamArn, shardId: ShardId, startSequenceNumber: SequenceNumber } = about;
  const last = BigInt(about.endSequenceNumber);
  const numberOf = ({ dynamodb }: StreamRecord) => BigInt(dynamodb?.SequenceNumber ?? -1);
  try {
    const records: StreamRecord[] = [];
    let { ShardIterator } = await streams.send(
      new GetShardIteratorCommand({ StreamArn, ShardId, SequenceNumber, ShardIteratorType: 'AT_SEQUENCE_NUMBER' }),
    );
    while (ShardIterator !== undefined) {
      const page = await streams.send(new GetRecordsCommand({ ShardIterator }));
      const { Records = [] } = page;
      records.push(...Records.filter((record) => numberOf(record) <= last));
      if (Records.length === 0 || Records.some((record) => numberOf(record) >= last)) break;
      ShardIterator = page.NextShardIterator;
    }
    return records.length > 0 ? records : undefined;
  } catch (error) {
    if (error instanceof TrimmedDataAccessException || error instanceof ResourceNotFoundException) return undefined;
    throw error;
  }
}

/** Converts a record to the format of Lambda events: JSON, with times in epoch seconds. */
const asEvent = ({ dynamodb, userIdentity, ...record }: StreamRecord, StreamArn: string): object => ({
  ...record,
  ...(userIdentity && { userIdentity: { type: userIdentity.Type, principalId: userIdentity.PrincipalId } }),
  dynamodb: {
    ...dynamodb,
    ApproximateCreationDateTime: Number(dynamodb?.ApproximateCreationDateTime) / 1_000,
  },
  eventSourceARN: StreamArn,
});

/**
 * Returns the filter of the function's mapping. The records of a letter can include records that the function does not
 * receive.
 */
async function filterOf({ lambda }: Clients, { functionName }: Target, streamArn: string) {
  const { EventSourceMappings = [] } = await lambda.send(
    new ListEventSourceMappingsCommand({ FunctionName: functionName, EventSourceArn: streamArn }),
  );
  const filters = EventSourceMappings.flatMap(({ FilterCriteria }) => FilterCriteria?.Filters ?? []);
  return compileFilters(filters.flatMap(({ Pattern }) => Pattern ?? []));
}

/**
 * Returns the event for the invocation, or undefined if the stream has deleted its records.
 *
 * @throws if the letter is of another function
 */
async function eventOf(clients: Clients, target: Target, letter: DeadLetter): Promise<unknown> {
  const { id, body, sentAt } = letter;
  const { source } = eventFunctions[target.name];
  if (source === 'schedule') return JSON.parse(body);
  if (source === 'queue')
    return { Records: [{ messageId: id, body, attributes: { SentTimestamp: String(sentAt.getTime()) } }] };
  const { DDBStreamBatchInfo: about } = v.parse(note, JSON.parse(body));
  const records = await recordsOf(clients, about);
  if (!records) return undefined;
  const passes = await filterOf(clients, target, about.streamArn);
  return { Records: records.map((record) => asEvent(record, about.streamArn)).filter(passes) };
}

const partialFailure = v.object({ batchItemFailures: v.array(v.unknown()) });

/** Invokes the function with a letter again, and deletes the letter if the function succeeds. */
export async function redrive(clients: Clients, target: Target, letter: DeadLetter): Promise<Outcome> {
  const event = await eventOf(clients, target, letter);
  if (event === undefined) return 'gone';
  const { FunctionError, Payload } = await clients.lambda.send(
    new InvokeCommand({ FunctionName: target.functionName, Payload: JSON.stringify(event) }),
  );
  if (FunctionError !== undefined) return 'failed';
  const answer = v.safeParse(partialFailure, JSON.parse(Payload?.transformToString() || 'null'));
  if (answer.success && answer.output.batchItemFailures.length > 0) return 'failed';
  await discard(clients, target, letter);
  return 'taken';
}

/** Describes a letter in one line. */
export function describe({ name }: Target, { body, sentAt }: DeadLetter): string {
  const when = sentAt.toISOString();
  if (eventFunctions[name].source !== 'stream') return `${when} ${body}`;
  const parsed = v.safeParse(note, JSON.parse(body));
  if (!parsed.success) return `${when} ${body}`;
  const { batchSize, shardId, startSequenceNumber } = parsed.output.DDBStreamBatchInfo;
  return `${when} ${batchSize} change(s) at ${startSequenceNumber} of ${shardId}`;
}
