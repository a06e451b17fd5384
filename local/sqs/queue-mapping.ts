import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteMessageBatchCommand, type Message, ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { type EventSourceMapping, failedItems } from '../lambda/event-source-mapping.ts';
import type { LocalFunction } from '../lambda/lambda.ts';
import type { Log } from '../log.ts';
import type { Queue } from './sqs.ts';

/** SQS's limits for one ReceiveMessage. */
const MESSAGES_PER_CALL = 10;
const WAIT_SECONDS = 20;
/** The wait after a failure, in milliseconds. */
const RETRY_MS = 500;

export interface QueueMapping {
  close(): Promise<void>;
}

/**
 * Invokes a function with a queue's messages, as Lambda does, and deletes those that it has processed. The queue
 * makes the others visible again, or moves them to the dead-letter queue.
 */
export function startQueueMapping(options: {
  mapping: EventSourceMapping;
  fn: LocalFunction;
  region: string;
  queue: Queue;
  client: SQSClient;
  log: Log;
}): QueueMapping {
  const { mapping, fn, region, queue, client, log } = options;
  const controller = new AbortController();
  const { signal } = controller;

  async function remove(messages: readonly Message[]): Promise<void> {
    if (messages.length === 0) return;
    const entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
    await client.send(new DeleteMessageBatchCommand({ QueueUrl: queue.url, Entries: entries }));
  }

  function logFailure(messages: readonly Message[]): void {
    const { RedrivePolicy: redrive } = queue.properties;
    for (const { MessageId, Body, Attributes } of messages) {
      const received = Number(Attributes?.ApproximateReceiveCount);
      const outcome =
        redrive && received >= redrive.maxReceiveCount
          ? `goes to the dead-letter queue ${redrive.deadLetterTargetArn}`
          : 'is retried';
      log(
        'sqs',
        `${fn.config.name} failed for message ${MessageId} of ${queue.name}, receive ${received}; the message ${outcome}: ${Body}`,
      );
    }
  }

  async function poll(): Promise<void> {
    while (!signal.aborted) {
      try {
        const { Messages: received = [] } = await client.send(
          new ReceiveMessageCommand({
            QueueUrl: queue.url,
            MaxNumberOfMessages: Math.min(mapping.batchSize, MESSAGES_PER_CALL),
            WaitTimeSeconds: WAIT_SECONDS,
            MessageSystemAttributeNames: ['All'],
            MessageAttributeNames: ['All'],
          }),
          { abortSignal: signal },
        );
        const records = received.map((message) => lambdaRecord(message, queue.arn, region));
        const wanted = received.filter((_, index) => mapping.passes(withParsedBody(records[index])));
        // Messages that the filter rejects are deleted.
        await remove(received.filter((message) => !wanted.includes(message)));
        if (wanted.length === 0) continue;
        const ids = wanted.map(({ MessageId = '' }) => MessageId);
        const result = await fn.invoke(
          JSON.stringify({ Records: records.filter(({ messageId }) => ids.includes(messageId)) }),
        );
        const failed = failedItems(result, ids, mapping.reportsItemFailures) ?? new Set(ids);
        await remove(wanted.filter(({ MessageId = '' }) => !failed.has(MessageId)));
        logFailure(wanted.filter(({ MessageId = '' }) => failed.has(MessageId)));
      } catch (error) {
        if (signal.aborted) return;
        log('sqs', `Reading ${queue.name} failed and is retried: ${String(error)}`);
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  const pollers = Array.from({ length: mapping.maxConcurrency }, poll);
  return {
    async close() {
      controller.abort();
      await Promise.allSettled(pollers);
    },
  };
}

interface QueueRecord {
  readonly messageId: string;
  readonly body: string;
  readonly [field: string]: unknown;
}

const lambdaRecord = (message: Message, eventSourceARN: string, awsRegion: string): QueueRecord => ({
  messageId: message.MessageId ?? '',
  receiptHandle: message.ReceiptHandle,
  body: message.Body ?? '',
  attributes: message.Attributes ?? {},
  messageAttributes: Object.fromEntries(
    Object.entries(message.MessageAttributes ?? {}).map(([name, { StringValue, BinaryValue, DataType }]) => [
      name,
      {
        ...(StringValue !== undefined && { stringValue: StringValue }),
        ...(BinaryValue && { binaryValue: Buffer.from(BinaryValue).toString('base64') }),
        stringListValues: [],
        binaryListValues: [],
        dataType: DataType,
      },
    ]),
  ),
  md5OfBody: message.MD5OfBody,
  eventSource: 'aws:sqs',
  eventSourceARN,
  awsRegion,
});

/** Returns the record with a parsed JSON body, which filters match. */
function withParsedBody(record: QueueRecord | undefined): unknown {
  if (!record) return undefined;
  try {
    return { ...record, body: JSON.parse(record.body) };
  } catch {
    // SQS messages need not be JSON. Filters then match the text.
    return record;
  }
}
