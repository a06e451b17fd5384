import type { AlarmProps } from '../constructs/alarms.ts';
import { backgroundFunctions, type EventFunctionRow, eventFunctions, withDeadLetters } from '../event-functions.ts';
import type { Metrics } from './metrics.ts';

/*
 * The alarms by key, with the reasons for their thresholds. The key is also the heading of the alarm's section in
 * docs/operate/runbook.md.
 */

/** The alarms of the APIs, the schedules, the table and the limits that all functions share. */
const common = (metrics: Metrics): Readonly<Record<string, AlarmProps>> => ({
  'http-5xx': {
    summary: 'At least 1 % of HTTP requests, and 3 in 5 minutes, fail with a 5xx.',
    // The minimum of 3 failures prevents an alarm for a single failed request at night.
    metric: metrics.failedShare(3),
    threshold: 1,
    datapointsToAlarm: [2, 3],
  },
  'http-latency': {
    summary: 'The p99 latency of HTTP requests is 5 s or more, half of the time-out.',
    // The usual latency is tens of milliseconds, and 1 s for a cold start.
    metric: metrics.ofHttp('IntegrationLatency', 'p99'),
    threshold: 5_000,
    datapointsToAlarm: [3, 3],
  },
  'websocket-errors': {
    // An absolute number, because API Gateway also counts frames to clients, so each fan-out would reduce a percentage.
    summary: 'At least 5 WebSocket connects or frames in 5 minutes fail with an internal error.',
    metric: metrics.socketErrors(),
    threshold: 5,
    datapointsToAlarm: [2, 3],
  },
  'websocket-latency': {
    summary: 'The p99 latency of WebSocket frames is 5 s or more, half of the time-out.',
    metric: metrics.ofSockets('IntegrationLatency', 'p99'),
    threshold: 5_000,
    datapointsToAlarm: [3, 3],
  },
  schedules: {
    summary: 'At least 3 schedules in 5 minutes failed to invoke the function announce.',
    metric: metrics.failedSchedules(),
    // The Scheduler makes 5 attempts, so a single failure is harmless.
    threshold: 3,
    datapointsToAlarm: [1, 1],
  },
  throttles: {
    summary: 'Lambda throttled at least 10 invocations in 5 minutes in this account and region.',
    // Functions above their reserved concurrency also count, but only for a moment.
    metric: metrics.throttledInvocations(),
    threshold: 10,
    datapointsToAlarm: [2, 3],
  },
  'table-throttles': {
    summary: 'DynamoDB throttled at least 10 requests to the table or its index in 5 minutes.',
    // An on-demand table can throttle for a moment while it scales, and the SDK retries.
    metric: metrics.throttledTableRequests(),
    threshold: 10,
    datapointsToAlarm: [2, 3],
  },
  'table-errors': {
    summary: 'At least 5 requests to DynamoDB in 5 minutes failed with a system error.',
    metric: metrics.tableErrors(),
    threshold: 5,
    datapointsToAlarm: [2, 3],
  },
});

/** The alarms of each background function: errors, duration, and those that its row in event-functions.ts defines. */
function ofFunctions(metrics: Metrics): Record<string, AlarmProps> {
  const rows: Record<string, AlarmProps> = {};
  for (const name of backgroundFunctions) {
    const { timeout, alarms: { late } = {} }: EventFunctionRow = eventFunctions[name];
    rows[`${name}-errors`] = {
      summary: `The function ${name} crashes or times out at least 3 times in 5 minutes.`,
      // Lambda retries, so a single error is harmless. Fan-out is not retried, so clients reconnect. Records that the function reports as
      // failed do not count.
      metric: metrics.errorsOf(name),
      threshold: 3,
      datapointsToAlarm: [2, 3],
    };
    rows[`${name}-duration`] = {
      summary: `The p99 duration of ${name} is 80 % of its time-out or more.`,
      metric: metrics.durationOf(name),
      threshold: 0.8 * timeout * 1_000,
      datapointsToAlarm: [2, 3],
    };
    if (late !== undefined && isReader(name))
      rows[`${name}-late`] = {
        summary: `For 15 minutes, 1 % of what ${name} delivers reaches its receivers more than ${late / 1_000} s after it was stored.`,
        // The usual time is below 1 s. The stream takes about 200 ms, and 500 ms at p99.
        metric: metrics.storedToDelivered(name, 'p99'),
        threshold: late,
        datapointsToAlarm: [3, 3],
      };
  }
  for (const name of withDeadLetters)
    rows[`${name}-dead-letters`] = {
      summary: `The dead-letter queue of ${name} is not empty: all attempts to process an event failed.`,
      // Each dead letter is an event that clients have missed.
      metric: metrics.deadLettersOf(name),
      threshold: 1,
    };
  return rows;
}

const isReader = (name: string): name is 'deliver-messages' | 'room-changes' | 'lane' =>
  ['deliver-messages', 'room-changes', 'lane'].includes(name);

/** The alarms for the time that events wait before a function receives them. */
const ofWaits = (metrics: Metrics): Readonly<Record<string, AlarmProps>> => ({
  ...Object.fromEntries(
    (['deliver-messages', 'room-changes'] as const).map((name) => [
      `${name}-behind`,
      {
        summary: `${name} is at least 1 minute behind the table's stream: clients receive events that late.`,
        // The usual wait is below 1 s. After 1 hour, records go to the dead-letter queue.
        metric: metrics.iteratorAgeOf(name),
        threshold: eventFunctions[name].alarms.behind * 1_000,
        datapointsToAlarm: [3, 5],
      } satisfies AlarmProps,
    ]),
  ),
  'lane-behind': {
    summary: 'Events wait at least 1 minute in the lane of a large room: its clients receive them that late.',
    // The usual wait is seconds. After 1 hour, the events are dropped.
    metric: metrics.queueAgeOf('lane'),
    threshold: eventFunctions.lane.alarms.behind,
    datapointsToAlarm: [3, 5],
  },
  'presence-behind': {
    summary: 'Absence checks wait at least 2 minutes in their queue: offline participants are still shown as online.',
    metric: metrics.queueAgeOf('presence'),
    threshold: eventFunctions.presence.alarms.behind,
    datapointsToAlarm: [3, 5],
  },
});

/** Returns all alarms of an environment, by their keys. */
export const alarmRows = (metrics: Metrics): Readonly<Record<string, AlarmProps>> => ({
  ...common(metrics),
  ...ofFunctions(metrics),
  ...ofWaits(metrics),
});
