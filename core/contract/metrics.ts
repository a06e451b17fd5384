/*
 * The service's own metrics, in addition to those of AWS. Dashboards, alarms and operators depend on their names.
 * CloudWatch charges per combination of name and dimensions, so there are few.
 */

export const NAMESPACE = 'Rooms';

/** The dimension `service`, in addition to `environment`: the part of the system that a metric describes. */
export type Service = 'http' | 'websocket' | 'events';

/**
 * The dimension `reader`: the function that delivered a change, which is a stream reader or the lanes of large rooms.
 */
export type Reader = 'deliver-messages' | 'room-changes' | 'lane';

/** All metrics, each with its unit, and with its service if only one has it. */
export const metrics = {
  /** Created rooms. Repeated requests do not count. */
  RoomsCreated: 'Count',
  /** Rooms that were ended, or whose end time was reached. */
  RoomsEnded: 'Count',
  /** Stored and delivered chat messages. */
  MessagesSent: 'Count',
  /** The time to deliver one room's messages to all its connections. */
  FanOutTime: 'Milliseconds',
  /**
   * The time from storing a change to its delivery to the last connection of its room. Has a third dimension, `reader`.
   * For messages, it is exact to the millisecond. For other changes, it can be up to one second too high, because the
   * stream has only full seconds.
   */
  StoredToDelivered: 'Milliseconds',
  /** Connections to which messages were sent, one value per fan-out. */
  Receivers: 'Count',
  ConnectionsOpened: 'Count',
  ConnectionsClosed: 'Count',
  /** Closed connections that were found by a failed post, without a report from API Gateway. */
  ConnectionsGone: 'Count',
  /** Connections that were closed because they, or the gateway, did not accept a frame in time. */
  DeliveriesFailed: 'Count',
  /**
   * `rooms.v2` connections that missed a frame because they, or the gateway, did not accept it in time. Their clients
   * notice the gap.
   */
  DeliveriesSkipped: 'Count',
  /** Requests and frames with an error as the response. Have a third dimension, `code`: the error code. */
  Refused: 'Count',
} as const satisfies Record<string, 'Count' | 'Milliseconds'>;

export type MetricName = keyof typeof metrics;
