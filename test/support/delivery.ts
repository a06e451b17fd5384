import type { DynamoDBRecord } from 'aws-lambda';
import { handler as deliverMessages } from '../../functions/events/deliver-messages.ts';
import { runLanes } from './lanes.ts';
import { runEventFunction } from './run-event-function.ts';
import { newSocket, reply } from './socket.ts';
import { messagesIn, recorded } from './stream.ts';

/** Sends messages, and returns their stream records. */
export const send = (room_id: string, as: string, ...texts: string[]) =>
  recorded(async () => {
    const sender = newSocket(as);
    for (const text of texts) await reply('message', sender, { room_id, client_message_id: crypto.randomUUID(), text });
  });

/** Delivers messages: calls `readMessages`, then processes the lanes of large rooms. */
export async function deliver(records: readonly DynamoDBRecord[]) {
  const { failures, lines, trace } = await readMessages(records);
  return { failures, lines: [...lines, ...(await runLanes())], trace };
}

/**
 * Invokes deliver-messages with these records. Returns the failures and the log. Events of large rooms stay in their
 * lanes.
 */
export async function readMessages(records: readonly DynamoDBRecord[]) {
  const { result, lines, trace } = await runEventFunction('deliver-messages', (context) =>
    deliverMessages(messagesIn(records), context),
  );
  return { failures: result.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier), lines, trace };
}
