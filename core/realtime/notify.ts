import type { Deadline } from '../platform/deadline.ts';
import { usesV2 } from '../rules/protocol.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import type { SubscriptionItem } from '../store/items.ts';
import { numberEvents } from '../store/sequence.ts';
import { dropSubscription, subscriptionsOf } from '../store/subscriptions.ts';
import type { Effect } from './changes.ts';
import { onTable, roomPool } from './deliver.ts';
import { deleteConnection, type PostOutcome, postToConnection } from './gateway.ts';
import { batchIdentity, pack } from './pack.ts';
import { patienceWithin } from './patience.ts';

/**
 * Sends an event about a user to the subscribed connections. If that fails, a rooms.v1 connection is closed, so that
 * its client reconnects, subscribes, and lists its rooms. A rooms.v2 client notices a gap. Without subscriptions, it
 * costs one query.
 *
 * @param source the ID of the record that caused the event
 * @throws if the connections cannot be read, or the event cannot be numbered
 */
export async function notifyUser(
  { participant_id, event, except }: Omit<Effect & { kind: 'notify' }, 'kind'>,
  source: string,
  now: Timestamp,
  deadline: Deadline,
): Promise<void> {
  // rooms.v2 connections receive every number of the feed, because a missing number would be a gap.
  const subscriptions = (await onTable(() => subscriptionsOf(participant_id))).filter(
    ({ connection_id, protocol }) => usesV2({ protocol }) || !except.includes(connection_id),
  );
  const v1 = JSON.stringify(event);
  const [v2 = v1] = subscriptions.some(usesV2) ? await packed() : [];
  const run = roomPool();
  const patience = patienceWithin(deadline);
  try {
    await Promise.all(subscriptions.map((subscription) => run(() => notify(subscription))));
  } finally {
    patience.end();
  }

  async function packed(): Promise<string[]> {
    const of = { feed: 'user', user_id: participant_id } as const;
    const { first } = await onTable(() => numberEvents(of, 1, batchIdentity(source, [event])));
    return pack(event.room_id, { feed: 'user', first }, [event]);
  }

  /** A connection that does not respond delays the other rooms of its shard, and its client sees the gap. */
  function postV2(connection_id: string): Promise<PostOutcome> {
    return postToConnection(connection_id, v2, patience.signal, patience.watch);
  }

  function postV1(connection_id: string): Promise<PostOutcome> {
    return postToConnection(connection_id, v1, deadline.signal);
  }

  async function notify({ connection_id, token_expires_at, protocol }: SubscriptionItem): Promise<void> {
    const isV2 = usesV2({ protocol });
    const isExpired = token_expires_at <= epochSeconds(now);
    const outcome = isExpired ? 'failed' : await (isV2 ? postV2(connection_id) : postV1(connection_id));
    if (outcome === 'gone') await onTable(() => dropSubscription({ user_id: participant_id, connection_id }));
    else if (outcome !== 'done' && (isExpired || !isV2)) await deleteConnection(connection_id, deadline.signal);
  }
}
