import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, expect, it } from 'vitest';
import { createTable, type DynamoDbLocal, startDynamoDb } from '../../local/dynamodb.ts';
import { findPort } from '../../local/listen.ts';
import { CREDENTIALS } from '../../local/s3.ts';

const open: DynamoDbLocal[] = [];
afterAll(() => Promise.all(open.map((local) => local.close())));

const PROPERTIES = {
  AttributeDefinitions: [{ AttributeName: 'PK', AttributeType: 'S' as const }],
  KeySchema: [{ AttributeName: 'PK', KeyType: 'HASH' as const }],
};

it('two that are started at the same moment have a port and tables of their own', async () => {
  const port = await findPort(0);
  const starting = startDynamoDb({ port });
  // Java is starting, and has not taken the port yet.
  await sleep(100);
  const [one, other] = await Promise.all([starting, startDynamoDb({ port })]);
  open.push(one, other);
  expect(one.url).not.toBe(other.url);
  const clientOf = ({ url }: DynamoDbLocal) =>
    new DynamoDBClient({ endpoint: url, region: 'us-east-1', credentials: CREDENTIALS });
  await createTable(clientOf(one), 'mine', PROPERTIES);
  const tables = async (local: DynamoDbLocal) => (await clientOf(local).send(new ListTablesCommand())).TableNames;
  expect(await tables(one)).toEqual(['mine']);
  expect(await tables(other)).toEqual([]);
});
