import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, FilterCriteria, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { DataStack } from '../data-stack.ts';
import { deadLetterQueue } from './queue.ts';
import { RoomsFunction, type RoomsFunctionProps } from './rooms-function.ts';

export interface StreamReaderProps extends Omit<RoomsFunctionProps, 'timeout' | 'deadLetters'> {
  readonly data: DataStack;
  /** Which records it is woken for, as Lambda event filters of which one must match. */
  readonly filters: readonly Readonly<Record<string, unknown>>[];
}

/**
 * A function that reads the table's stream. A shard of it serves two readers, so there can be no third of these.
 *
 * Of a batch that fails, Lambda tries again what the function says has failed, in ever smaller batches; a record that fails
 * for good ends in a queue, as a note of where it is in the stream (which keeps it for a day), and the rest goes on.
 */
export class StreamReader extends RoomsFunction {
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { data, filters, permissions = [], ...props }: StreamReaderProps) {
    const stream = data.table.tableStreamArn;
    if (stream === undefined) throw new Error('The table has no stream.');
    const deadLetters = deadLetterQueue(scope, `${id}Aside`, `${id}DeadLetters`);
    super(scope, id, {
      ...props,
      // Of these, 10 are kept for marking what is left (core/realtime/deadline.ts). Two rounds of slow fan-out invocations, 35 s each, do
      // not fit: the connections of the second are disconnected or marked when the time is up.
      timeout: 60,
      permissions: [
        ...permissions,
        // Lambda asks for all four when it makes the mapping.
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
      // Lambda takes up to minutes to make a mapping, and one that is made anew knows nothing of the one before: with LATEST, whatever changes
      // meanwhile would be lost. What is delivered twice does no harm.
      startingPosition: StartingPosition.TRIM_HORIZON,
      filters: filters.map((filter) => FilterCriteria.filter({ ...filter })),
      batchSize: 100,
      // One batch of a shard at a time; the rooms in it do not wait for each other. With more, Lambda would keep only the records of
      // one item (partition and sort key) in order, and those of a room are of many items.
      parallelizationFactor: 1,
      reportBatchItemFailures: true,
      bisectBatchOnError: true,
      retryAttempts: 5,
      // Who missed something that long ago has caught up from the history, or is gone.
      maxRecordAge: Duration.hours(1),
      onFailure: { bind: () => ({ destination: deadLetters.queueArn }) },
    });
  }
}
