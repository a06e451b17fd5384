import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, expect, test } from 'vitest';
import { createTable, type DynamoDbLocal, startDynamoDb } from '../../local/dynamodb/dynamodb-local.ts';
import { findPort, PortError } from '../../local/listen.ts';
import { CREDENTIALS } from '../../local/s3/s3.ts';
import { stillRunning } from './npm-start.ts';

const open: DynamoDbLocal[] = [];
afterAll(() => Promise.all(open.map((local) => local.close())));

const PROPERTIES = {
  AttributeDefinitions: [{ AttributeName: 'PK', AttributeType: 'S' as const }],
  KeySchema: [{ AttributeName: 'PK', KeyType: 'HASH' as const }],
};

const clientOf = ({ url }: DynamoDbLocal) =>
  new DynamoDBClient({ endpoint: url, region: 'us-east-1', credentials: CREDENTIALS });

test('rejects a port that another instance is about to use, and never connects to that instance', async () => {
  const port = await findPort(0);
  const starting = startDynamoDb({ port });
  // Java is still starting, and does not listen on the port yet.
  await sleep(100);
  const late = startDynamoDb({ port });
  const [one, other] = await Promise.allSettled([starting, late]);
  for (const each of [one, other]) if (each.status === 'fulfilled') open.push(each.value);
  expect([one, other].map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const refusal = one.status === 'rejected' ? one : other;
  expect(refusal).toMatchObject({ reason: new PortError(`Port ${port} is taken by another program.`) });
});

test('shares no tables with another instance', async () => {
  const [one, other] = await Promise.all([startDynamoDb({ port: 0 }), startDynamoDb({ port: 0 })]);
  open.push(one, other);
  await createTable(clientOf(one), 'mine', PROPERTIES);
  const tables = async (local: DynamoDbLocal) => (await clientOf(local).send(new ListTablesCommand())).TableNames;
  expect(await tables(one)).toEqual(['mine']);
  expect(await tables(other)).toEqual([]);
});

test('is not reachable from other machines', async () => {
  const local = await startDynamoDb({ port: 0 });
  open.push(local);
  // All addresses of this machine except loopback.
  const addresses = Object.values(networkInterfaces())
    .flat()
    .filter((address) => address && !address.internal && address.family === 'IPv4')
    .map((address) => address?.address);
  const reached = await Promise.all(
    addresses.map((address) =>
      fetch(`http://${address}:${local.port}`, { signal: AbortSignal.timeout(2_000) }).then(
        () => address,
        () => undefined,
      ),
    ),
  );
  expect(reached.filter((address) => address !== undefined)).toEqual([]);
});

test('ends with the process that started it, even if that is killed', async () => {
  const url = JSON.stringify(new URL('../../local/dynamodb/dynamodb-local.ts', import.meta.url).href);
  const program = `const { startDynamoDb } = await import(${url}); console.log((await startDynamoDb({ port: 0 })).pid); setInterval(() => {}, 1_000);`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [text] = await once(owner.stdout, 'data');
  const java = Number(text);
  expect(stillRunning([java])).toHaveLength(1);
  owner.kill('SIGKILL');
  await expect.poll(() => stillRunning([java]), { timeout: 10_000 }).toEqual([]);
});
