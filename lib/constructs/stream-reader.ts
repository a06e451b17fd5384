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
 * A function that reads the table's stream. A shard supports two readers, so there can be no third one. If a batch
 * fails, Lambda retries the records that the function reports as failed, in smaller and smaller batches. A record
 * that fails permanently ends in a queue, as a note of its position in the stream (which keeps it for a day), and the
 * others continue.
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
        // Lambda requires all four when it creates the mapping.
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
      // Lambda may take minutes to create a mapping, and a new mapping does not know the position of its predecessor:
      // with LATEST, changes in the meantime would be lost. Delivering twice is harmless.
      startingPosition: StartingPosition.TRIM_HORIZON,
      filters: filters.map((filter) => FilterCriteria.filter({ ...filter })),
      batchSize: 100,
      // One batch of a shard at a time; the rooms in it are processed in parallel. With more, Lambda would keep only
      // the records of one item (partition and sort key) in order, and the records of a room are of many items.
      parallelizationFactor: 1,
      reportBatchItemFailures: true,
      bisectBatchOnError: true,
      retryAttempts: 5,
      // Clients that missed an event that long ago have caught up from the history, or are gone.
      maxRecordAge: Duration.hours(1),
      onFailure: { bind: () => ({ destination: deadLetters.queueArn }) },
    });
  }
}
