import {
  type Alarm,
  AlarmStatusWidget,
  GraphWidget,
  type IMetric,
  type IWidget,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Reader } from '../../core/contract/metrics.ts';
import { backgroundFunctions, withDeadLetters } from '../event-functions.ts';
import type { Metrics } from './metrics.ts';

const READERS = ['deliver-messages', 'room-changes', 'lane'] as const satisfies readonly Reader[];
const PERCENTILES = ['p50', 'p99'] as const;

const graph = (title: string, left: IMetric[], right: IMetric[] = []): GraphWidget =>
  new GraphWidget({ title, left, right, width: 8, height: 6 });

/** Returns the widgets of the dashboard, row by row. */
export const widgets = (environment: string, metrics: Metrics, alarms: Alarm[]): IWidget[][] => [
  [
    new TextWidget({
      markdown: `# Rooms, ${environment}\nWhat each alarm means and what to do: \`docs/operate/runbook.md\``,
      width: 24,
      height: 2,
    }),
  ],
  [new AlarmStatusWidget({ title: 'Alarms', alarms, width: 24, height: 4 })],
  [
    graph('Rooms and messages', [
      metrics.own('RoomsCreated', 'events'),
      metrics.own('RoomsEnded', 'events'),
      metrics.own('MessagesSent', 'events'),
    ]),
    graph('Connections', [
      metrics.own('ConnectionsOpened', 'websocket'),
      metrics.own('ConnectionsClosed', 'websocket'),
      metrics.own('ConnectionsGone', 'events'),
      metrics.own('DeliveriesFailed', 'events'),
      metrics.own('DeliveriesSkipped', 'events'),
    ]),
    graph(
      'Fan-out: milliseconds',
      PERCENTILES.map((statistic) => metrics.own('FanOutTime', 'events', { statistic })),
      [metrics.own('Receivers', 'events', { statistic: 'Average' })],
    ),
  ],
  [
    graph(
      'Stored to delivered: milliseconds',
      READERS.flatMap((reader) =>
        PERCENTILES.map((statistic) => metrics.storedToDelivered(reader, statistic, `${reader}, ${statistic}`)),
      ),
    ),
  ],
  [
    graph('HTTP: requests', [metrics.requests(), metrics.ofHttp('4xx'), metrics.ofHttp('5xx')]),
    graph(
      'HTTP: milliseconds',
      PERCENTILES.map((statistic) => metrics.ofHttp('Latency', statistic)),
    ),
    graph('Refused, by code', [metrics.refusedByCode()]),
  ],
  [
    graph('WebSocket: frames', [metrics.ofSockets('ConnectCount'), metrics.ofSockets('MessageCount')]),
    graph(
      'WebSocket: milliseconds',
      PERCENTILES.map((statistic) => metrics.ofSockets('IntegrationLatency', statistic)),
    ),
    graph('WebSocket: errors', [
      metrics.ofSockets('ClientError'),
      metrics.ofSockets('IntegrationError'),
      metrics.ofSockets('ExecutionError'),
    ]),
  ],
  [
    graph(
      'Behind the stream: milliseconds',
      (['deliver-messages', 'room-changes'] as const).map((name) => metrics.iteratorAgeOf(name, metrics.fiveMinutes)),
    ),
    graph(
      'Functions: milliseconds, p99',
      backgroundFunctions.map((name) => metrics.durationOf(name, true)),
    ),
    graph(
      'Functions: errors, throttles',
      backgroundFunctions.map((name) => metrics.errorsOf(name, true)),
      backgroundFunctions.map((name) => metrics.throttlesOf(name)),
    ),
  ],
  [
    graph('Table: units', [
      metrics.ofTable('ConsumedReadCapacityUnits'),
      metrics.ofTable('ConsumedWriteCapacityUnits'),
    ]),
    graph(
      'Table, index: throttled',
      [metrics.ofTable, metrics.ofIndex].flatMap((of) => [of('ReadThrottleEvents'), of('WriteThrottleEvents')]),
    ),
    graph(
      'Dead letters',
      withDeadLetters.map((name) => metrics.deadLettersOf(name, true)),
    ),
  ],
];
