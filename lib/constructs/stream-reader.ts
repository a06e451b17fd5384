import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, FilterCriteria, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { EventFunction, type EventFunctionProps } from './event-function.ts';
import { deadLetterQueue } from './queue.ts';

export interface StreamReaderProps extends Omit<EventFunctionProps, 'deadLetters'> {
  /** Lambda event filters; a record must match one of them. */
  readonly filters: readonly Readonly<Record<string, unknown>>[];
}

/**
 * A function that reads the table's stream. There are two such functions, the maximum for a shard. If a batch fails, Lambda
 * retries the records that the function reports as failed, in smaller and smaller batches. For a record that fails
 * permanently, a dead letter with its position in the stream is sent to a queue, and the other records continue. The stream
 * keeps the record for 24 hours.
 */
export class StreamReader extends EventFunction {
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { data, filters, permissions = [], ...props }: StreamReaderProps) {
    const stream = data.table.tableStreamArn;
    if (stream === undefined) throw new Error('The table has no stream.');
    const deadLetters = deadLetterQueue(scope, `${id}Aside`, `${id}DeadLetters`);
    super(scope, id, {
      ...props,
      data,
      permissions: [
        ...permissions,
        // Lambda requires all 4 actions when it creates the mapping.
        {
          actions: ['DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'].map(
            (each) => `dynamodb:${each}`,
          ),
          resources: [stream],
        },
        { actions: ['sqs:SendMessage'], resources: [deadLetters.queueArn] },
      ],
    });
    this.deadLetters = deadLetters;
    new EventSourceMapping(this, 'Stream', {
      target: this.handler,
      eventSourceArn: stream,
      // Lambda can take minutes to create a mapping, and a new mapping does not continue at the position of the old one. With
      // LATEST, changes in between would be lost. Repeated deliveries are harmless.
      startingPosition: StartingPosition.TRIM_HORIZON,
      filters: filters.map((filter) => FilterCriteria.filter({ ...filter })),
      batchSize: 100,
      // One batch of a shard at a time, and the function processes its rooms in parallel. With more, Lambda would keep the
      // order only within an item, but the records of a room belong to many items.
      parallelizationFactor: 1,
      reportBatchItemFailures: true,
      bisectBatchOnError: true,
      retryAttempts: 5,
      // After this time, clients have read missed events from the history, or are disconnected.
      maxRecordAge: Duration.hours(1),
      onFailure: { bind: () => ({ destination: deadLetters.queueArn }) },
    });
  }
}
