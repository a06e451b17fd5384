import type { RequestListener } from 'node:http';
import { CreateQueueCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { buildApp } from 'fauxqs';
import * as v from 'valibot';

export interface SqsServer {
  readonly handle: RequestListener;
  close(): Promise<void>;
}

/**
 * Creates an SQS server as a handler for an HTTP server. The package fauxqs implements delays, visibility timeouts and redrive policies.
 * queue-mapping.ts delivers the messages to functions.
 */
export async function createSqs(): Promise<SqsServer> {
  const app = buildApp({ logger: false });
  await app.ready();
  return {
    handle: (request, response) => app.routing(request, response),
    close: async () => {
      await app.close();
    },
  };
}

const redrivePolicy = v.object({
  deadLetterTargetArn: v.string(),
  maxReceiveCount: v.pipe(v.union([v.number(), v.string()]), v.transform(Number)),
});

/** The properties of AWS::SQS::Queue that the local stack uses. Times are in seconds. */
export const queueProperties = v.object({
  QueueName: v.optional(v.string()),
  DelaySeconds: v.optional(v.number()),
  VisibilityTimeout: v.optional(v.number()),
  MessageRetentionPeriod: v.optional(v.number()),
  ReceiveMessageWaitTimeSeconds: v.optional(v.number()),
  FifoQueue: v.optional(v.boolean()),
  RedrivePolicy: v.optional(redrivePolicy),
});

export interface Queue {
  readonly name: string;
  readonly url: string;
  readonly arn: string;
  readonly properties: v.InferOutput<typeof queueProperties>;
}

/** Creates a queue from its template. */
export async function createQueue(client: SQSClient, { name, properties }: Queue): Promise<void> {
  const { QueueName: _name, RedrivePolicy, ...numbers } = properties;
  const attributes = Object.entries(numbers).map(([key, value]) => [key, String(value)] as const);
  await client.send(
    new CreateQueueCommand({
      QueueName: name,
      Attributes: {
        ...Object.fromEntries(attributes),
        ...(RedrivePolicy && { RedrivePolicy: JSON.stringify(RedrivePolicy) }),
      },
    }),
  );
}
