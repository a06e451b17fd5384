import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { GetScheduleCommand, ResourceNotFoundException, SchedulerClient } from '@aws-sdk/client-scheduler';
import { DynamoDBDocumentClient, QueryCommand } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { REGION } from '../../local/cloudformation/template.ts';
import { CREDENTIALS } from '../../local/s3/s3.ts';

/* Reads the table and the Scheduler directly, without faults. */

export interface TableView {
  /** Returns the admins of a room, and the IDs of its joined connections. Undefined if the room does not exist. */
  room(roomId: string): Promise<{ readonly admins: string[]; readonly connections: string[] } | undefined>;
  /** Returns the time of a room's schedule. Undefined if there is none. */
  scheduled(roomId: string, moment: 'start' | 'end'): Promise<string | undefined>;
  close(): void;
}

const item = v.object({
  SK: v.string(),
  admins: v.optional(v.set(v.string())),
  connection_id: v.optional(v.string()),
});
const announcement = v.pipe(v.string(), v.parseJson(), v.object({ time: v.string() }));

/** @param variable returns the value of a function's environment variable */
export function tableView(variable: (name: string) => string): TableView {
  const config = { region: REGION, credentials: CREDENTIALS };
  const client = new DynamoDBClient({ ...config, endpoint: variable('AWS_ENDPOINT_URL_DYNAMODB') });
  const dynamodb = DynamoDBDocumentClient.from(client);
  const scheduler = new SchedulerClient({ ...config, endpoint: variable('AWS_ENDPOINT_URL_SCHEDULER') });
  return {
    async room(roomId) {
      const items: v.InferOutput<typeof item>[] = [];
      let from: Record<string, unknown> | undefined;
      do {
        const { Items = [], LastEvaluatedKey } = await dynamodb.send(
          new QueryCommand({
            TableName: variable('TABLE_NAME'),
            KeyConditionExpression: 'PK = :room',
            ExpressionAttributeValues: { ':room': `ROOM#${roomId}` },
            ConsistentRead: true,
            ...(from && { ExclusiveStartKey: from }),
          }),
        );
        items.push(...v.parse(v.array(item), Items));
        from = LastEvaluatedKey;
      } while (from);
      const room = items.find(({ SK }) => SK === 'ROOM');
      return (
        room && {
          admins: [...(room.admins ?? [])],
          connections: items.flatMap(({ SK, connection_id }) =>
            SK.startsWith('CONNECTION#') && connection_id !== undefined ? [connection_id] : [],
          ),
        }
      );
    },
    async scheduled(roomId, moment) {
      try {
        const { Target } = await scheduler.send(
          new GetScheduleCommand({ GroupName: variable('SCHEDULE_GROUP'), Name: `${roomId}-${moment}` }),
        );
        return v.parse(announcement, Target?.Input).time;
      } catch (error) {
        if (error instanceof ResourceNotFoundException) return undefined;
        throw error;
      }
    },
    close() {
      client.destroy();
      scheduler.destroy();
    },
  };
}
