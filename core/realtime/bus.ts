import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { type EventType, events, type RoomEvent } from '../contract/realtime.ts';
import { abortable } from '../platform/abort.ts';
import { SHORT_TIME_LIMITS } from '../platform/client-settings.ts';
import { env } from '../platform/env.ts';
import { logError } from '../platform/log.ts';

/** The `source` of our events on the bus. */
export const EVENT_SOURCE = 'rooms';
/** EventBridge's limit for one PutEvents. */
const ENTRIES_PER_CALL = 10;

let client: EventBridgeClient | undefined;

const goesToBus = ({ type }: RoomEvent): boolean => {
  const eventType: EventType = events[type];
  return eventType.bus ?? false;
};

const toEntry = ({ type, room_id, data, sent_at }: RoomEvent) => ({
  EventBusName: env('EVENT_BUS_NAME'),
  Source: EVENT_SOURCE,
  DetailType: type,
  Detail: JSON.stringify({ room_id, data, sent_at }),
  Time: new Date(sent_at),
});

/** Publishes the events that belong on the bus. Returns those that EventBridge rejects. Never throws. */
export async function publish(all: readonly RoomEvent[]): Promise<RoomEvent[]> {
  const events = all.filter(goesToBus);
  const refused: RoomEvent[] = [];
  client ??= abortable(new EventBridgeClient(SHORT_TIME_LIMITS));
  for (let start = 0; start < events.length; start += ENTRIES_PER_CALL) {
    const chunk = events.slice(start, start + ENTRIES_PER_CALL);
    const failed = (error: unknown): void => logError({ action: 'publish', room_id: chunk[0]?.room_id }, error);
    try {
      const { FailedEntryCount, Entries = [] } = await client.send(
        new PutEventsCommand({ Entries: chunk.map(toEntry) }),
      );
      if (!FailedEntryCount) continue;
      refused.push(...chunk.filter((_, n) => Entries[n]?.ErrorCode));
      const code = Entries.find((each) => each.ErrorCode)?.ErrorCode;
      failed(new Error(`EventBridge refused ${FailedEntryCount} events: ${code}`));
    } catch (error) {
      refused.push(...chunk);
      failed(error);
    }
  }
  return refused;
}

/**
 * Like `publish`.
 *
 * @throws if EventBridge rejects an event
 */
export async function publishAll(events: readonly RoomEvent[]): Promise<void> {
  const refused = await publish(events);
  if (refused.length > 0) throw new Error(`EventBridge did not take ${refused.length} events.`);
}
