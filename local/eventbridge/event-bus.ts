import { randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import * as v from 'valibot';
import { AwsError, answer, jsonOf } from '../aws/aws-request.ts';
import { ACCOUNT, REGION } from '../cloudformation/template.ts';
import type { Log } from '../log.ts';

/** An event in the format that EventBridge sends to targets, and its bus. */
export interface BusEvent {
  readonly 'event-bus': string;
  readonly version: '0';
  readonly id: string;
  readonly 'detail-type': string;
  readonly source: string;
  readonly account: string;
  readonly time: string;
  readonly region: string;
  readonly resources: readonly string[];
  readonly detail: unknown;
}

export interface EventBuses {
  /** Handles PutEvents. */
  readonly handle: (request: Parameters<RequestListener>[0], response: Parameters<RequestListener>[1]) => Promise<void>;
  /** The last events, oldest first. */
  readonly recent: () => readonly BusEvent[];
}

/** The number of events that are kept for inspection. */
const KEPT = 1_000;
/** EventBridge's limits for one call (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html). */
const ENTRIES_PER_CALL = 10;

const putEvents = v.object({
  Entries: v.pipe(
    v.array(
      v.object({
        EventBusName: v.optional(v.string(), 'default'),
        Source: v.optional(v.string()),
        DetailType: v.optional(v.string()),
        Detail: v.optional(v.string()),
        /** Time of the event in epoch seconds. */
        Time: v.optional(v.number()),
        Resources: v.optional(v.array(v.string()), []),
      }),
    ),
    v.minLength(1),
    v.maxLength(ENTRIES_PER_CALL),
  ),
});
type Entry = v.InferOutput<typeof putEvents>['Entries'][number];

/** Creates event buses without rules, which keep and log published events. */
export function createEventBuses(names: readonly string[], log: Log): EventBuses {
  const events: BusEvent[] = [];

  function put({ EventBusName, Source, DetailType, Detail, Time, Resources }: Entry): object {
    const missing = Object.entries({ Source, DetailType, Detail }).find(([, value]) => !value)?.[0];
    if (!Source || !DetailType || !Detail)
      return {
        ErrorCode: 'InvalidArgument',
        ErrorMessage: `Parameter ${missing} is not valid. Reason: ${missing} is a required argument.`,
      };
    const detail = objectOf(Detail);
    if (!detail) return { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is malformed.' };
    // A bus is named by its ARN or name. EventBridge accepts events for a bus that does not exist, and drops them.
    const bus = EventBusName.split('/').at(-1) ?? '';
    const id = randomUUID();
    if (!names.includes(bus)) {
      log('events', `${DetailType} was published to ${bus}, which is not in the templates.`);
      return { EventId: id };
    }
    const time = new Date(Time === undefined ? Date.now() : Time * 1_000);
    events.push({
      'event-bus': bus,
      version: '0',
      id,
      'detail-type': DetailType,
      source: Source,
      account: ACCOUNT,
      // EventBridge rounds times to seconds.
      time: `${time.toISOString().slice(0, 19)}Z`,
      region: REGION,
      resources: Resources,
      detail,
    });
    if (events.length > KEPT) events.shift();
    log('events', `${bus}: ${Source} ${DetailType} ${Detail}`);
    return { EventId: id };
  }

  return {
    recent: () => events,
    async handle(request, response) {
      const action = request.headers['x-amz-target'];
      if (action !== 'AWSEvents.PutEvents')
        throw new AwsError(400, 'UnknownOperationException', `The local stack does not support ${String(action)}.`);
      const input = v.safeParse(putEvents, await jsonOf(request));
      if (!input.success) throw new AwsError(400, 'ValidationException', input.issues[0].message);
      const entries = input.output.Entries.map(put);
      const failed = entries.filter((entry) => 'ErrorCode' in entry);
      answer(response, 200, { FailedEntryCount: failed.length, Entries: entries });
    },
  };
}

function objectOf(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
