import { Duration } from 'aws-cdk-lib';
import { MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Operation } from 'aws-cdk-lib/aws-dynamodb';
import { type MetricName, NAMESPACE, type Reader, type Service } from '../../core/contract/metrics.ts';
import { INDEX } from '../../core/store/keys.ts';
import type { DataStack } from '../data-stack.ts';
import type { BackgroundFunction, WithDeadLetters } from '../event-functions.ts';
import type { HttpStack } from '../http-stack.ts';
import type { RealtimeStack } from '../realtime-stack.ts';

/** The stacks of an environment that have metrics. */
export interface Monitored {
  /** The name of the environment. */
  readonly environment: string;
  readonly data: DataStack;
  readonly http: HttpStack;
  readonly realtime: RealtimeStack;
}

const FIVE_MINUTES = Duration.minutes(5);
const ONE_MINUTE = Duration.minutes(1);

/** The DynamoDB operations that the code uses: those of `TableAction`, and transactions. */
const OPERATIONS = [
  Operation.GET_ITEM,
  Operation.BATCH_GET_ITEM,
  Operation.QUERY,
  Operation.PUT_ITEM,
  Operation.UPDATE_ITEM,
  Operation.DELETE_ITEM,
  Operation.TRANSACT_WRITE_ITEMS,
];

/**
 * A sum of metrics, in which a metric without data counts as 0: without FILL, the sum would have no data unless all of them do.
 * CDK's metricSystemErrorsForOperations adds without FILL.
 */
const sumOf = (label: string, metrics: Readonly<Record<string, Metric>>): MathExpression =>
  new MathExpression({
    expression: Object.keys(metrics)
      .map((id) => `FILL(${id}, 0)`)
      .join(' + '),
    usingMetrics: { ...metrics },
    label,
    period: FIVE_MINUTES,
  });

/** Returns the metrics of an environment. Periods are 5 minutes, unless the name of a metric contains another period. */
export function metricsOf({ environment, data, http, realtime }: Monitored) {
  const { api, stage } = realtime.sockets;
  const { background } = realtime;
  const own = (metricName: MetricName, service: Service, options: { statistic?: string; code?: string } = {}) =>
    new Metric({
      namespace: NAMESPACE,
      metricName,
      dimensionsMap: { environment, service, ...(options.code && { code: options.code }) },
      statistic: options.statistic ?? 'Sum',
      period: FIVE_MINUTES,
    });
  const ofHttp = (metricName: string, statistic = 'Sum') =>
    http.api.metric(metricName, { statistic, period: FIVE_MINUTES });
  const ofSockets = (metricName: string, statistic = 'Sum') =>
    new Metric({
      namespace: 'AWS/ApiGateway',
      metricName,
      dimensionsMap: { ApiId: api.apiId, Stage: stage.stageName },
      statistic,
      period: FIVE_MINUTES,
    });
  const ofTable = (metricName: string) => data.table.metric(metricName, { statistic: 'Sum', period: FIVE_MINUTES });
  /** A metric of the index. DynamoDB does not include throttled requests to the index in the metrics of the table. */
  const ofIndex = (metricName: string) =>
    data.table.metric(metricName, {
      statistic: 'Sum',
      period: FIVE_MINUTES,
      dimensionsMap: { TableName: data.table.tableName, GlobalSecondaryIndexName: INDEX },
    });
  const requests = () => ofHttp('Count', 'SampleCount');
  const label = (name: BackgroundFunction) => ({ label: name });

  return {
    own,
    ofHttp,
    ofSockets,
    ofTable,
    ofIndex,
    requests,

    /** The percentage of requests that fail with a 5xx, or 0 if a period has fewer than `least` failures. */
    failedShare: (least: number) =>
      new MathExpression({
        expression: `IF(errors >= ${least}, 100 * errors / requests, 0)`,
        usingMetrics: { errors: ofHttp('5xx'), requests: requests() },
        label: '5xx, percent of requests',
        period: FIVE_MINUTES,
      }),

    /** Failed connects and frames. API Gateway counts crashed functions, and functions count internal errors that they report. */
    socketErrors: () =>
      sumOf('Errors', {
        crashes: ofSockets('IntegrationError'),
        failures: ofSockets('ExecutionError'),
        internal: own('Refused', 'websocket', { code: 'internal' }),
      }),

    storedToDelivered: (reader: Reader, statistic: string, name?: string) =>
      new Metric({
        namespace: NAMESPACE,
        metricName: 'StoredToDelivered' satisfies MetricName,
        dimensionsMap: { environment, service: 'events', reader },
        statistic,
        period: FIVE_MINUTES,
        ...(name !== undefined && { label: name }),
      }),

    errorsOf: (name: BackgroundFunction, withLabel = false) =>
      background[name].handler.metricErrors({ period: FIVE_MINUTES, ...(withLabel && label(name)) }),
    durationOf: (name: BackgroundFunction, withLabel = false) =>
      background[name].handler.metricDuration({
        statistic: 'p99',
        period: FIVE_MINUTES,
        ...(withLabel && label(name)),
      }),
    throttlesOf: (name: BackgroundFunction) =>
      background[name].handler.metricThrottles({ period: FIVE_MINUTES, ...label(name) }),
    deadLettersOf: (name: WithDeadLetters, withLabel = false) =>
      background[name].deadLetters.metricApproximateNumberOfMessagesVisible({
        statistic: 'Maximum',
        period: FIVE_MINUTES,
        ...(withLabel && label(name)),
      }),
    /** How long records wait in the stream, in milliseconds. */
    iteratorAgeOf: (name: 'deliver-messages' | 'room-changes', period = ONE_MINUTE) =>
      background[name].handler.metric('IteratorAge', { statistic: 'Maximum', period }),
    /** How long messages wait in the queue, in seconds, for each minute. */
    queueAgeOf: (name: 'lane' | 'presence') =>
      background[name].queue.metricApproximateAgeOfOldestMessage({ statistic: 'Maximum', period: ONE_MINUTE }),

    /** Schedules that could not invoke their function. */
    failedSchedules: () =>
      sumOf('Failures', {
        errors: data.schedules.metricTargetErrors({ period: FIVE_MINUTES }),
        dropped: data.schedules.metricDropped({ period: FIVE_MINUTES }),
      }),

    /** Has no dimension, so it covers all functions of the account, which share one limit. */
    throttledInvocations: () =>
      new Metric({ namespace: 'AWS/Lambda', metricName: 'Throttles', statistic: 'Sum', period: FIVE_MINUTES }),

    throttledTableRequests: () =>
      sumOf('Throttled requests', {
        reads: ofTable('ReadThrottleEvents'),
        writes: ofTable('WriteThrottleEvents'),
        indexReads: ofIndex('ReadThrottleEvents'),
        indexWrites: ofIndex('WriteThrottleEvents'),
      }),

    tableErrors: () =>
      sumOf(
        'System errors',
        Object.fromEntries(
          OPERATIONS.map((operation) => [
            operation.toLowerCase(),
            data.table.metric('SystemErrors', {
              statistic: 'Sum',
              period: FIVE_MINUTES,
              dimensionsMap: { TableName: data.table.tableName, Operation: operation },
            }),
          ]),
        ),
      ),

    /** Requests and frames that failed, by error code. */
    refusedByCode: () =>
      new MathExpression({
        expression: `SEARCH('{${NAMESPACE},code,environment,service} environment="${environment}" MetricName="Refused"', 'Sum', 300)`,
        label: '',
        usingMetrics: {},
        period: FIVE_MINUTES,
      }),
    fiveMinutes: FIVE_MINUTES,
  };
}

export type Metrics = ReturnType<typeof metricsOf>;
