import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { dropSubscription, subscriptionsOf } from '../store/subscriptions.ts';
import type { Effect } from './changes.ts';
import type { Deadline } from './deadline.ts';
import { onTable, roomPool } from './deliver.ts';
import { deleteConnection, postToConnection } from './gateway.ts';

/**
 * Sends an event about a user to the connections that have subscribed. One that does not take it is closed, so that its client
 * reconnects, subscribes again, and lists its rooms. Costs one query where no connection has subscribed.
 *
 * @throws if the connections cannot be read.
 */
export async function notifyUser(
  { participant_id, event, except }: Omit<Effect & { kind: 'notify' }, 'kind'>,
  now: Timestamp,
  { signal }: Deadline,
): Promise<void> {
  const frame = JSON.stringify(event);
  const subscriptions = await onTable(() => subscriptionsOf(participant_id));
  const run = roomPool();
  const notify = async (connection_id: string, isExpired: boolean): Promise<void> => {
    const outcome = isExpired ? 'failed' : await postToConnection(connection_id, frame, signal);
    if (outcome === 'failed') await deleteConnection(connection_id, signal);
    if (outcome === 'gone') await onTable(() => dropSubscription({ user_id: participant_id, connection_id }));
  };
  await Promise.all(
    subscriptions
      .filter(({ connection_id }) => !except.includes(connection_id))
      .map(({ connection_id, token_expires_at }) =>
        run(() => notify(connection_id, token_expires_at <= epochSeconds(now))),
      ),
  );
}
