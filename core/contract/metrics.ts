/*
 * What the system counts of itself, beside what AWS counts: names that dashboards, alarms and operators rely on. CloudWatch
 * charges for every combination of name and dimensions that has had a value in a month, so there are few.
 */

export const NAMESPACE = 'Rooms';

/** The part of the system that a metric is of: the dimension `service`, beside `environment`. */
export type Service = 'http' | 'websocket' | 'events';

/** The function that read a change from the table's stream: a dimension of the metrics that are counted for each reader. */
export type Reader = 'deliver-messages' | 'room-changes';

/** Each metric with its unit, and the service that has it where only one does. */
export const metrics = {
  /** Rooms that were created, whoever asked how often. */
  RoomsCreated: 'Count',
  /** Rooms that were ended, or whose time was up. */
  RoomsEnded: 'Count',
  /** Chat messages that were stored and handed on. */
  MessagesSent: 'Count',
  /** How long it took to hand the messages that a room had together to all its connections. */
  FanOutTime: 'Milliseconds',
  /**
   * From the moment in which a change was stored until it was delivered to the last connection of its room. It has a third dimension, `reader`. Messages
   * are exact to the millisecond; other changes are up to a second less than given, because the stream has whole seconds.
   */
  StoredToDelivered: 'Milliseconds',
  /** Connections that messages were handed to, one number a fan-out. */
  Receivers: 'Count',
  ConnectionsOpened: 'Count',
  ConnectionsClosed: 'Count',
  /** Connections that turned out to be gone when something was sent to them: nobody had said so. */
  ConnectionsGone: 'Count',
  /** Frames that a connection, or the gateway, did not take in time; the connection was closed. */
  DeliveriesFailed: 'Count',
  /** Connections of `rooms.v2` that a frame was skipped for, because they or the gateway did not take it in time; their clients see the gap. */
  DeliveriesSkipped: 'Count',
  /** Requests and frames that were answered with an error. They have a third dimension, `code`: that of the error. */
  Refused: 'Count',
} as const satisfies Record<string, 'Count' | 'Milliseconds'>;

export type MetricName = keyof typeof metrics;
