import * as v from 'valibot';
import { compileFilters, type Matches } from '../../tools/aws/event-pattern.ts';
import type { Resolver } from '../cloudformation/template.ts';
import type { InvocationResult } from './lambda.ts';

/** An event source and the function that receives its records, from a template. Times are in seconds. */
export interface EventSourceMapping {
  readonly sourceArn: string;
  /** Name or ARN of the function. */
  readonly functionName: string;
  readonly batchSize: number;
  readonly passes: Matches;
  readonly bisect: boolean;
  /** Infinity means "until the records are too old". */
  readonly retryAttempts: number;
  readonly maxRecordAgeSeconds: number;
  readonly parallelizationFactor: number;
  readonly reportsItemFailures: boolean;
  /** ARN of the queue for records that could not be processed. */
  readonly onFailure: string | undefined;
  readonly maxConcurrency: number;
  /** For a stream: whether existing records are delivered, too. */
  readonly startingPosition: 'LATEST' | 'TRIM_HORIZON';
}

const DEFAULT_BATCH_SIZE = { stream: 100, queue: 10 };
/** The initial number of parallel batches of one queue (Lambda scales from there). */
const QUEUE_CONCURRENCY = 5;

/** -1 means "without a limit". */
const limit = v.optional(
  v.pipe(
    v.number(),
    v.transform((value) => (value === -1 ? Number.POSITIVE_INFINITY : value)),
  ),
  -1,
);

const properties = v.object({
  EventSourceArn: v.string(),
  FunctionName: v.string(),
  Enabled: v.optional(v.boolean(), true),
  BatchSize: v.optional(v.number()),
  BisectBatchOnFunctionError: v.optional(v.boolean(), false),
  MaximumRetryAttempts: limit,
  MaximumRecordAgeInSeconds: limit,
  ParallelizationFactor: v.optional(v.number(), 1),
  FunctionResponseTypes: v.optional(v.array(v.literal('ReportBatchItemFailures')), []),
  FilterCriteria: v.optional(
    v.object({ Filters: v.optional(v.array(v.object({ Pattern: v.optional(v.string(), '{}') })), []) }),
    {},
  ),
  DestinationConfig: v.optional(v.object({ OnFailure: v.optional(v.object({ Destination: v.string() })) }), {}),
  StartingPosition: v.optional(v.picklist(['LATEST', 'TRIM_HORIZON']), 'LATEST'),
  ScalingConfig: v.optional(v.object({ MaximumConcurrency: v.optional(v.number()) }), {}),
});

/** Reads the enabled event source mappings of the templates. */
export function readEventSourceMappings(resolver: Resolver): EventSourceMapping[] {
  return resolver.ofType('AWS::Lambda::EventSourceMapping').flatMap((resource) => {
    const mapping = resolver.read(resource, properties);
    if (!mapping.Enabled) return [];
    const usual = mapping.EventSourceArn.startsWith('arn:aws:sqs:')
      ? DEFAULT_BATCH_SIZE.queue
      : DEFAULT_BATCH_SIZE.stream;
    return {
      sourceArn: mapping.EventSourceArn,
      functionName: mapping.FunctionName,
      batchSize: mapping.BatchSize ?? usual,
      passes: compileFilters(mapping.FilterCriteria.Filters.map(({ Pattern }) => Pattern)),
      bisect: mapping.BisectBatchOnFunctionError,
      retryAttempts: mapping.MaximumRetryAttempts,
      maxRecordAgeSeconds: mapping.MaximumRecordAgeInSeconds,
      parallelizationFactor: mapping.ParallelizationFactor,
      reportsItemFailures: mapping.FunctionResponseTypes.length > 0,
      onFailure: mapping.DestinationConfig.OnFailure?.Destination,
      startingPosition: mapping.StartingPosition,
      maxConcurrency: mapping.ScalingConfig.MaximumConcurrency ?? QUEUE_CONCURRENCY,
    };
  });
}

const batchResponse = v.nullish(
  v.object({ batchItemFailures: v.nullish(v.array(v.object({ itemIdentifier: v.pipe(v.string(), v.nonEmpty()) }))) }),
);

/**
 * Returns the items of a batch that a function reports as failed. Returns undefined if the whole batch has failed: if
 * the function failed, or if its report is malformed or names an unknown item.
 *
 * @param ids the ids of the batch's items
 */
export function failedItems(
  result: InvocationResult,
  ids: readonly string[],
  reportsItemFailures: boolean,
): ReadonlySet<string> | undefined {
  if (!result.ok) return undefined;
  if (!reportsItemFailures) return new Set();
  const response = v.safeParse(batchResponse, JSON.parse(result.payload));
  if (!response.success) return undefined;
  const failed = (response.output?.batchItemFailures ?? []).map(({ itemIdentifier }) => itemIdentifier);
  return failed.every((id) => ids.includes(id)) ? new Set(failed) : undefined;
}
