import { DeleteCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { dynamodb, tableName } from '../../core/store/client.ts';
import { limitKey, userPartition } from '../../core/store/keys.ts';

/** Deletes the counters of limits per user, as if their windows had ended. */
export async function forgetUsage(users: readonly string[]): Promise<void> {
  for (const user of users) {
    const [prefix = ''] = limitKey(user, '', 0).SK.split('#', 1);
    const { Items = [] } = await dynamodb.send(
      new QueryCommand({
        TableName: tableName(),
        KeyConditionExpression: 'PK = :user AND begins_with(SK, :limit)',
        ExpressionAttributeValues: { ':user': userPartition(user), ':limit': `${prefix}#` },
        ConsistentRead: true,
      }),
    );
    for (const { PK, SK } of Items) await dynamodb.send(new DeleteCommand({ TableName: tableName(), Key: { PK, SK } }));
  }
}
