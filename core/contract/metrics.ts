/*
 * The service's own metrics, in addition to those of AWS. Dashboards, alarms and operators rely on their names.
 * CloudWatch charges for every combination of name and dimensions with a value in a month, so there are few.
 */

export const NAMESPACE = 'Rooms';

/** The part of the system that a metric is about: the dimension `service`, in addition to `environment`. */
export type Service = 'http' | 'websocket' | 'events';

/** The function that delivered a change: a reader of the table's stream, or the lanes of large rooms. A dimension of the metrics that are counted for each. */
export type Reader = 'deliver-messages' | 'room-changes' | 'lane';

/** Each metric with its unit, and its service if only one has it. */
export const metrics = {
  /** Rooms that were created. A repeated request does not count. */
  RoomsCreated: 'Count',
  /** Rooms that were ended, or whose end time has come. */
  RoomsEnded: 'Count',
  /** Chat messages that were stored and delivered. */
  MessagesSent: 'Count',
  /** How long it took to deliver the messages that a room had together to all its connections. */
  FanOutTime: 'Milliseconds',
  /**
   * The time from storing a change until it was delivered to the last connection of its room. It has a third
   * dimension, `reader`. Messages are exact to the millisecond; other changes can be up to a second less than
   * measured, because the stream has whole seconds.
   */
  StoredToDelivered: 'Milliseconds',
  /** Connections that messages were sent to, one value for each fan-out. */
  Receivers: 'Count',
  ConnectionsOpened: 'Count',
  ConnectionsClosed: 'Count',
  /** Connections that turned out to be closed when something was sent to them, without a report by API Gateway. */
  ConnectionsGone: 'Count',
  /** Frames that a connection, or the gateway, did not accept in time; the connection was closed. */
  DeliveriesFailed: 'Count',
  /**
   * Connections of `rooms.v2` that missed a frame, because they or the gateway did not accept it in time; their
   * clients notice the gap.
   */
  DeliveriesSkipped: 'Count',
  /** Requests and frames that were answered with an error. They have a third dimension, `code`: the error code. */
  Refused: 'Count',
} as const satisfies Record<string, 'Count' | 'Milliseconds'>;

export type MetricName = keyof typeof metrics;
