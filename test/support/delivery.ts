import type { DynamoDBRecord } from 'aws-lambda';
import { handler as deliverMessages } from '../../functions/events/deliver-messages.ts';
import { runLanes } from './lanes.ts';
import { runEventFunction } from './run-event-function.ts';
import { newSocket, reply } from './socket.ts';
import { messagesIn, recorded } from './stream.ts';

/** The stream's records of messages that somebody sends. */
export const send = (room_id: string, as: string, ...texts: string[]) =>
  recorded(async () => {
    const sender = newSocket(as);
    for (const text of texts) await reply('message', sender, { room_id, client_message_id: crypto.randomUUID(), text });
  });

/** As `readMessages`, and then works through the lanes of large rooms. */
export async function deliver(records: readonly DynamoDBRecord[]) {
  const { failures, lines, trace } = await readMessages(records);
  return { failures, lines: [...lines, ...(await runLanes())], trace };
}

/** What Lambda would get back for these records, and what was logged. What is left to the lanes of large rooms waits there. */
export async function readMessages(records: readonly DynamoDBRecord[]) {
  const { result, lines, trace } = await runEventFunction('deliver-messages', (context) =>
    deliverMessages(messagesIn(records), context),
  );
  return { failures: result.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier), lines, trace };
}
