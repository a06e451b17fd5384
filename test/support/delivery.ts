import type { DynamoDBRecord } from 'aws-lambda';
import { handler as deliverMessages } from '../../functions/events/deliver-messages.ts';
import { runEventFunction } from './run-event-function.ts';
import { newSocket, reply } from './socket.ts';
import { messagesIn, recorded } from './stream.ts';

/** The stream's records of messages that somebody sends. */
export const send = (room_id: string, as: string, ...texts: string[]) =>
  recorded(async () => {
    const sender = newSocket(as);
    for (const text of texts) await reply('message', sender, { room_id, client_message_id: crypto.randomUUID(), text });
  });

/** What Lambda would get back for these records, and what was logged. */
export async function deliver(records: readonly DynamoDBRecord[]) {
  const { result, lines } = await runEventFunction('deliver-messages', (context) =>
    deliverMessages(messagesIn(records), context),
  );
  return { failures: result.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier), lines };
}
