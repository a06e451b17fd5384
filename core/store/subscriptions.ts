import { CONNECTION_TTL_SECONDS, MAX_CONNECTIONS_PER_PARTICIPANT } from '../contract/limits.ts';
import type { SubProtocol } from '../contract/sub-protocols.ts';
import { usesV2 } from '../rules/protocol.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import type { SubscriptionItem } from './items.ts';
import { CONNECTION, connectionPartition, userConnectionKey, userPartition } from './keys.ts';
import { queryPage } from './read.ts';
import { remove, update } from './write.ts';

/*
 * Connections that receive events about their own user. Without a subscription, a connection has no item here and costs
 * nothing. A subscription costs a write of an item with its index entry, and another one at the disconnect.
 */

interface Subscribed {
  readonly user_id: string;
  readonly connection_id: string;
}

/** Subscribes a connection to the events about its user. */
export async function subscribeConnection({
  user_id,
  connection_id,
  token_expires_at,
  protocol,
  now,
}: Subscribed & { token_expires_at: number; protocol?: SubProtocol; now: Timestamp }): Promise<void> {
  const isV2 = usesV2({ protocol });
  await update<SubscriptionItem>(userConnectionKey(user_id, connection_id), {
    UpdateExpression:
      'SET GSI1PK = :index, GSI1SK = :user, connection_id = :connection, token_expires_at = :token, expires_at = :expiry' +
      (isV2 ? ', protocol = :protocol' : ''),
    ExpressionAttributeValues: {
      ':index': connectionPartition(connection_id),
      ':user': userPartition(user_id),
      ':connection': connection_id,
      ':token': token_expires_at,
      ':expiry': epochSeconds(now) + CONNECTION_TTL_SECONDS,
      ...(isV2 && { ':protocol': protocol }),
    },
  });
}

/** Returns the connections that subscribed to a user, with a consistent read, at most 100. */
export async function subscriptionsOf(user_id: string): Promise<readonly SubscriptionItem[]> {
  const { items } = await queryPage<SubscriptionItem>(
    {
      KeyConditionExpression: 'PK = :user AND begins_with(SK, :connection)',
      ExpressionAttributeValues: { ':user': userPartition(user_id), ':connection': CONNECTION },
      ConsistentRead: true,
    },
    MAX_CONNECTIONS_PER_PARTICIPANT,
  );
  return items;
}

/** Deletes the subscription of a closed connection. */
export const dropSubscription = ({ user_id, connection_id }: Subscribed): Promise<void> =>
  remove(userConnectionKey(user_id, connection_id));
