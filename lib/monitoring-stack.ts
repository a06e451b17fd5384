import { CfnOutput, CrossStackReferences, Duration, ReferenceStrength, Stack, type StackProps } from 'aws-cdk-lib';
import {
  AlarmStatusWidget,
  Dashboard,
  type DashboardProps,
  GraphWidget,
  type IMetric,
  MathExpression,
  Metric,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Operation } from 'aws-cdk-lib/aws-dynamodb';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type ITopic, Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import { type MetricName, NAMESPACE, type Reader, type Service } from '../core/contract/metrics.ts';
import { INDEX } from '../core/store/keys.ts';
import { Alarms, closeToTimeout, percent } from './constructs/alarms.ts';
import { MonthlyBudget } from './constructs/monthly-budget.ts';
import type { DataStack } from './data-stack.ts';
import { type Environment, isTopic } from './environments.ts';
import type { HttpStack } from './http-stack.ts';
import type { RealtimeStack } from './realtime-stack.ts';

export interface MonitoringStackProps extends StackProps {
  readonly environment: Environment;
  readonly data: DataStack;
  readonly http: HttpStack;
  readonly realtime: RealtimeStack;
}

const FIVE_MINUTES = Duration.minutes(5);
const DELIVERING = ['deliver-messages', 'room-changes', 'lane'] as const satisfies readonly Reader[];
/** From when on events are late, in milliseconds. The stream has whole seconds for changes. A room of 10,000 takes 4 s with the default quota. */
const LATE_MS: Readonly<Record<Reader, number>> = { 'deliver-messages': 2_000, 'room-changes': 3_000, lane: 5_000 };
/** The operations that the code sends: see `TableAction`, and transactions. */
const OPERATIONS = [
  Operation.GET_ITEM,
  Operation.BATCH_GET_ITEM,
  Operation.QUERY,
  Operation.PUT_ITEM,
  Operation.UPDATE_ITEM,
  Operation.DELETE_ITEM,
  Operation.TRANSACT_WRITE_ITEMS,
];
/** The id of an operation's metric in metric math. */
const idOf = (operation: Operation): string => operation.toLowerCase();

/**
 * One dashboard, and the alarms. Why each threshold is what it is stands beside it; what to do, in docs/operate/runbook.md.
 *
 * An alarm costs for every metric it looks at. So the functions behind the HTTP API are not watched one by one: whatever goes
 * wrong in one of them, callers get as a 5xx or wait for. It also means that no stack refers to them, and an endpoint can go
 * without a deployment in two steps.
 */
export class MonitoringStack extends Stack {
  constructor(scope: Construct, id: string, { environment, data, http, realtime, ...props }: MonitoringStackProps) {
    super(scope, id, props);
    // An export that an alarm uses would keep the other stacks from dropping or replacing a function, in an upgrade or a rollback.
    CrossStackReferences.of(this).consume(ReferenceStrength.WEAK);
    const topic = alarmTopic(this, environment.alarmTarget);
    const { alarmTarget, monthlyBudget } = environment;
    if (monthlyBudget !== undefined && alarmTarget !== undefined)
      new MonthlyBudget(this, 'MonthlyBudget', { name: `${id}-budget`, limit: monthlyBudget, target: alarmTarget });
    const alarms = new Alarms(this, 'Alarms', environment.name, topic && new SnsAction(topic));
    const own = (metricName: MetricName, service: Service, options: { statistic?: string; code?: string } = {}) =>
      new Metric({
        namespace: NAMESPACE,
        metricName,
        dimensionsMap: { environment: environment.name, service, ...(options.code && { code: options.code }) },
        statistic: options.statistic ?? 'Sum',
        period: FIVE_MINUTES,
      });

    const storedToDelivered = (reader: Reader, statistic: string, label?: string) =>
      new Metric({
        namespace: NAMESPACE,
        metricName: 'StoredToDelivered' satisfies MetricName,
        dimensionsMap: { environment: environment.name, service: 'events', reader },
        statistic,
        period: FIVE_MINUTES,
        ...(label !== undefined && { label }),
      });

    // The HTTP API.
    const ofHttp = (metricName: string, statistic = 'Sum') =>
      http.api.metric(metricName, { statistic, period: FIVE_MINUTES });
    const requests = ofHttp('Count', 'SampleCount');
    alarms.add('http-5xx', {
      says: 'At least 1 % of HTTP requests, and 3 in 5 minutes, fail with a 5xx.',
      // Three failures at least, so that it is not chance where few call; and not for one bad period alone.
      metric: new MathExpression({
        expression: percent('errors', 'requests', 3),
        usingMetrics: { errors: ofHttp('5xx'), requests },
        label: '5xx, percent of requests',
        period: FIVE_MINUTES,
      }),
      from: 1,
      bad: [2, 3],
    });
    alarms.add('http-latency', {
      says: 'The p99 latency of HTTP requests is 5 s or more, half of the time-out.',
      // In good times it is tens of milliseconds, a second for a cold start.
      metric: ofHttp('IntegrationLatency', 'p99'),
      from: 5_000,
      bad: [3, 3],
    });

    // The WebSocket API. It counts the frames to clients with those from them: a share would be thinned by every fan-out.
    const { api, stage } = realtime.sockets;
    const ofSockets = (metricName: string, statistic = 'Sum') =>
      new Metric({
        namespace: 'AWS/ApiGateway',
        metricName,
        dimensionsMap: { ApiId: api.apiId, Stage: stage.stageName },
        statistic,
        period: FIVE_MINUTES,
      });
    alarms.add('websocket-errors', {
      says: 'At least 5 WebSocket connects or frames in 5 minutes fail with an internal error.',
      // API Gateway knows of functions that crash; those that answer with an error of ours say so themselves.
      metric: new MathExpression({
        expression: 'FILL(crashes, 0) + FILL(failures, 0) + FILL(internal, 0)',
        usingMetrics: {
          crashes: ofSockets('IntegrationError'),
          failures: ofSockets('ExecutionError'),
          internal: own('Refused', 'websocket', { code: 'internal' }),
        },
        label: 'Errors',
        period: FIVE_MINUTES,
      }),
      from: 5,
      bad: [2, 3],
    });
    alarms.add('websocket-latency', {
      says: 'The p99 latency of WebSocket frames is 5 s or more, half of the time-out.',
      metric: ofSockets('IntegrationLatency', 'p99'),
      from: 5_000,
      bad: [3, 3],
    });

    // The functions that nobody waits for.
    const { deliverMessages, roomChanges, fanOut, lane, presence, announcements } = realtime;
    const readers = { 'deliver-messages': deliverMessages, 'room-changes': roomChanges };
    const putAside = { ...readers, lane, presence, announce: announcements };
    const behind = { ...putAside, 'fan-out': fanOut };
    for (const [name, { handler: fn }] of Object.entries(behind)) {
      alarms.add(`${name}-errors`, {
        says: `The function ${name} crashes or times out at least 3 times in 5 minutes.`,
        // Lambda tries again, so one may pass unnoticed; of fan-out nobody does, and some clients connect anew. What is
        // reported of single records is no error in this count.
        metric: fn.metricErrors({ period: FIVE_MINUTES }),
        from: 3,
        bad: [2, 3],
      });
      alarms.add(`${name}-duration`, {
        says: `The p99 duration of ${name} is 80 % of its time-out or more.`,
        metric: fn.metricDuration({ statistic: 'p99', period: FIVE_MINUTES }),
        from: closeToTimeout(fn.timeout),
        bad: [2, 3],
      });
    }
    for (const [name, { deadLetters }] of Object.entries(putAside))
      alarms.add(`${name}-dead-letters`, {
        says: `The dead-letter queue of ${name} is not empty: all attempts to process an event failed.`,
        // Each is an event that somebody has not heard of.
        metric: deadLetters.metricApproximateNumberOfMessagesVisible({ statistic: 'Maximum', period: FIVE_MINUTES }),
        from: 1,
      });
    for (const [name, { handler: fn }] of Object.entries(readers))
      alarms.add(`${name}-behind`, {
        says: `${name} is at least 1 minute behind the table's stream: clients receive events that late.`,
        // Well below a second in good times. After an hour, records are put aside.
        metric: fn.metric('IteratorAge', { statistic: 'Maximum', period: Duration.minutes(1) }),
        from: 60_000,
        bad: [3, 5],
      });
    for (const reader of DELIVERING)
      alarms.add(`${reader}-late`, {
        says: `For 15 minutes, 1 % of what ${reader} delivers reaches its receivers more than two seconds after it was stored.`,
        // Well below a second in good times: the stream takes about 200 ms, half a second at p99.
        metric: storedToDelivered(reader, 'p99'),
        from: LATE_MS[reader],
        bad: [3, 3],
      });
    alarms.add('lane-behind', {
      says: 'Events wait at least 1 minute in the lane of a large room: its clients receive them that late.',
      // Seconds in good times. After an hour, they are dropped.
      metric: lane.queue.metricApproximateAgeOfOldestMessage({ statistic: 'Maximum', period: Duration.minutes(1) }),
      from: 60,
      bad: [3, 5],
    });
    alarms.add('presence-behind', {
      says: 'Absence checks wait at least 2 minutes in their queue: offline participants are still shown as online.',
      // Ten seconds of grace, and one time-out of the queue (60 s) where a batch was lost, are none.
      metric: presence.queue.metricApproximateAgeOfOldestMessage({ statistic: 'Maximum', period: Duration.minutes(1) }),
      from: 120,
      bad: [3, 5],
    });
    alarms.add('schedules', {
      says: 'At least 3 schedules in 5 minutes failed to invoke the function announce.',
      metric: new MathExpression({
        expression: 'FILL(errors, 0) + FILL(dropped, 0)',
        usingMetrics: {
          errors: data.schedules.metricTargetErrors({ period: FIVE_MINUTES }),
          dropped: data.schedules.metricDropped({ period: FIVE_MINUTES }),
        },
        label: 'Failures',
        period: FIVE_MINUTES,
      }),
      // The scheduler tries five times; one failure may pass.
      from: 3,
      bad: [1, 1],
    });

    // What all share.
    alarms.add('throttles', {
      says: 'Lambda throttled at least 10 invocations in 5 minutes in this account and region.',
      // Without a dimension: all functions of the account, for they share one limit. Announcements and batches of large rooms
      // that are held back by their reserved concurrency count too, but for a moment.
      metric: new Metric({ namespace: 'AWS/Lambda', metricName: 'Throttles', statistic: 'Sum', period: FIVE_MINUTES }),
      from: 10,
      bad: [2, 3],
    });
    const ofTable = (metricName: string) => data.table.metric(metricName, { statistic: 'Sum', period: FIVE_MINUTES });
    // DynamoDB counts what an index has to turn away for the index alone.
    const ofIndex = (metricName: string) =>
      data.table.metric(metricName, {
        statistic: 'Sum',
        period: FIVE_MINUTES,
        dimensionsMap: { TableName: data.table.tableName, GlobalSecondaryIndexName: INDEX },
      });
    alarms.add('table-throttles', {
      says: 'DynamoDB throttled at least 10 requests to the table or its index in 5 minutes.',
      // An on-demand table may while it grows to a new load, and the SDK tries again: not for a moment's doing.
      metric: new MathExpression({
        expression: 'FILL(reads, 0) + FILL(writes, 0) + FILL(indexReads, 0) + FILL(indexWrites, 0)',
        usingMetrics: {
          reads: ofTable('ReadThrottleEvents'),
          writes: ofTable('WriteThrottleEvents'),
          indexReads: ofIndex('ReadThrottleEvents'),
          indexWrites: ofIndex('WriteThrottleEvents'),
        },
        label: 'Throttled requests',
        period: FIVE_MINUTES,
      }),
      from: 10,
      bad: [2, 3],
    });
    alarms.add('table-errors', {
      says: 'At least 5 requests to DynamoDB in 5 minutes failed with a system error.',
      // CDK's metricSystemErrorsForOperations adds them up without FILL: the sum has no data unless all operations fail.
      metric: new MathExpression({
        expression: OPERATIONS.map((operation) => `FILL(${idOf(operation)}, 0)`).join(' + '),
        usingMetrics: Object.fromEntries(
          OPERATIONS.map((operation) => [
            idOf(operation),
            data.table.metric('SystemErrors', {
              statistic: 'Sum',
              period: FIVE_MINUTES,
              dimensionsMap: { TableName: data.table.tableName, Operation: operation },
            }),
          ]),
        ),
        label: 'System errors',
        period: FIVE_MINUTES,
      }),
      from: 5,
      bad: [2, 3],
    });

    const dashboard = new Dashboard(this, 'Dashboard', {
      dashboardName: `rooms-${environment.name}`,
      defaultInterval: Duration.hours(3),
      widgets: [
        [
          new TextWidget({
            markdown: `# Rooms, ${environment.name}\nWhat each alarm means and what to do: \`docs/operate/runbook.md\``,
            width: 24,
            height: 2,
          }),
        ],
        [new AlarmStatusWidget({ title: 'Alarms', alarms: alarms.all, width: 24, height: 4 })],
        [
          graph('Rooms and messages', [
            own('RoomsCreated', 'events'),
            own('RoomsEnded', 'events'),
            own('MessagesSent', 'events'),
          ]),
          graph('Connections', [
            own('ConnectionsOpened', 'websocket'),
            own('ConnectionsClosed', 'websocket'),
            own('ConnectionsGone', 'events'),
            own('DeliveriesFailed', 'events'),
            own('DeliveriesSkipped', 'events'),
          ]),
          graph(
            'Fan-out: milliseconds',
            ['p50', 'p99'].map((statistic) => own('FanOutTime', 'events', { statistic })),
            [own('Receivers', 'events', { statistic: 'Average' })],
          ),
        ],
        [
          graph(
            'Stored to delivered: milliseconds',
            DELIVERING.flatMap((reader) =>
              ['p50', 'p99'].map((statistic) => storedToDelivered(reader, statistic, `${reader}, ${statistic}`)),
            ),
          ),
        ],
        [
          graph('HTTP: requests', [requests, ofHttp('4xx'), ofHttp('5xx')]),
          graph(
            'HTTP: milliseconds',
            ['p50', 'p99'].map((statistic) => ofHttp('Latency', statistic)),
          ),
          graph('Refused, by code', [
            new MathExpression({
              expression: `SEARCH('{${NAMESPACE},code,environment,service} environment="${environment.name}" MetricName="Refused"', 'Sum', 300)`,
              label: '',
              usingMetrics: {},
              period: FIVE_MINUTES,
            }),
          ]),
        ],
        [
          graph('WebSocket: frames', [ofSockets('ConnectCount'), ofSockets('MessageCount')]),
          graph(
            'WebSocket: milliseconds',
            ['p50', 'p99'].map((statistic) => ofSockets('IntegrationLatency', statistic)),
          ),
          graph('WebSocket: errors', [
            ofSockets('ClientError'),
            ofSockets('IntegrationError'),
            ofSockets('ExecutionError'),
          ]),
        ],
        [
          graph(
            'Behind the stream: milliseconds',
            Object.values(readers).map(({ handler }) =>
              handler.metric('IteratorAge', { statistic: 'Maximum', period: FIVE_MINUTES }),
            ),
          ),
          graph(
            'Functions: milliseconds, p99',
            Object.entries(behind).map(([label, { handler }]) =>
              handler.metricDuration({ statistic: 'p99', period: FIVE_MINUTES, label }),
            ),
          ),
          graph(
            'Functions: errors, throttles',
            Object.entries(behind).map(([label, { handler }]) => handler.metricErrors({ period: FIVE_MINUTES, label })),
            Object.entries(behind).map(([label, { handler }]) =>
              handler.metricThrottles({ period: FIVE_MINUTES, label }),
            ),
          ),
        ],
        [
          graph('Table: units', [ofTable('ConsumedReadCapacityUnits'), ofTable('ConsumedWriteCapacityUnits')]),
          graph(
            'Table, index: throttled',
            [ofTable, ofIndex].flatMap((of) => [of('ReadThrottleEvents'), of('WriteThrottleEvents')]),
          ),
          graph(
            'Dead letters',
            Object.entries(putAside).map(([label, { deadLetters }]) =>
              deadLetters.metricApproximateNumberOfMessagesVisible({
                statistic: 'Maximum',
                period: FIVE_MINUTES,
                label,
              }),
            ),
          ),
        ],
      ],
    } satisfies DashboardProps);
    new CfnOutput(this, 'DashboardName', { value: dashboard.dashboardName });
  }
}

const graph = (title: string, left: IMetric[], right: IMetric[] = []): GraphWidget =>
  new GraphWidget({ title, left, right, width: 8, height: 6 });

/** Where alarms go: a topic that is there already, or one with a single subscriber, who has to confirm an e-mail once. */
function alarmTopic(scope: Construct, target: string | undefined): ITopic | undefined {
  if (target === undefined) return undefined;
  if (isTopic(target)) return Topic.fromTopicArn(scope, 'AlarmTopic', target);
  const topic = new Topic(scope, 'AlarmTopic', { displayName: 'Alarms of Rooms', enforceSSL: true });
  topic.addSubscription(new EmailSubscription(target));
  topic.grantPublish(
    new ServicePrincipal('cloudwatch.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
    }),
  );
  return topic;
}
