import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { abortable } from '../aws/abort.ts';
import { type EventType, events, type RoomEvent } from '../contract/realtime.ts';
import { env } from '../env.ts';
import { CLIENT_OPTIONS } from './client-options.ts';

/** The `source` of our events on the bus. */
export const EVENT_SOURCE = 'rooms';
/** EventBridge's limit for one PutEvents. */
const ENTRIES_PER_CALL = 10;

let client: EventBridgeClient | undefined;

const goesToBus = ({ type }: RoomEvent): boolean => {
  const eventType: EventType = events[type];
  return eventType.bus ?? false;
};

/** Puts those of the events on the bus that go there. Throws where EventBridge does not take one. */
export async function publish(all: readonly RoomEvent[]): Promise<void> {
  const entries = all.filter(goesToBus).map(({ type, room_id, data, sent_at }) => ({
    EventBusName: env('EVENT_BUS_NAME'),
    Source: EVENT_SOURCE,
    DetailType: type,
    Detail: JSON.stringify({ room_id, data, sent_at }),
    Time: new Date(sent_at),
  }));
  client ??= abortable(new EventBridgeClient(CLIENT_OPTIONS));
  for (let start = 0; start < entries.length; start += ENTRIES_PER_CALL) {
    const { FailedEntryCount, Entries } = await client.send(
      new PutEventsCommand({ Entries: entries.slice(start, start + ENTRIES_PER_CALL) }),
    );
    if (FailedEntryCount)
      throw new Error(
        `EventBridge refused ${FailedEntryCount} events: ${Entries?.find((e) => e.ErrorCode)?.ErrorCode}`,
      );
  }
}
