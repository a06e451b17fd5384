import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import * as v from 'valibot';
import type { RoomEvent } from '../../core/contract/realtime.ts';
import { type Deadline, deadlineOf, type TimeLeft } from '../../core/platform/deadline.ts';
import { logError } from '../../core/platform/log.ts';
import { publishAll } from '../../core/realtime/bus.ts';
import { retryDisconnect } from '../../core/realtime/deliver.ts';
import { checkLiveness } from '../../core/realtime/liveness.ts';
import { isRoomEvent } from '../../core/realtime/parse.ts';
import { queueDisconnect } from '../../core/realtime/presence.ts';
import { sendDigest } from '../../core/realtime/presence-digest.ts';
import { MOMENTS, type Moment } from '../../core/realtime/schedule.ts';
import { syncSchedulesOf } from '../../core/realtime/sync-schedules.ts';
import { markAbsent } from '../../core/store/connections.ts';
import type { RoomItem } from '../../core/store/items.ts';
import { roomKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';

const of = { room_id: v.string(), participant_id: v.string() };
const disconnect = v.object({ kind: v.literal('disconnect'), room_id: v.string() });
const liveness = v.object({ ...of, kind: v.literal('liveness'), due: v.string() });
const absence = v.object({ ...of, kind: v.optional(v.undefined()), left_at: v.string() });
const digest = v.object({ kind: v.literal('digest'), room_id: v.string(), due: v.string() });
const publishing = v.object({
  kind: v.literal('publish'),
  event: v.custom<RoomEvent>(isRoomEvent),
});
const schedules = v.object({
  kind: v.literal('schedules'),
  room_id: v.string(),
  moments: v.array(v.picklist(MOMENTS)),
});
const queued = v.union([disconnect, liveness, digest, publishing, schedules, absence]);

/** Time after the deadline to send one message to the queue, in milliseconds. */
const RESERVE_MS = 4_000;

/**
 * Processes the presence queue. Marks participants offline that have lost their last connection, and checks connections.
 * Sends presence digests of large rooms. Retries closing connections and failed effects.
 */
export const handler = async ({ Records }: SQSEvent, context: TimeLeft): Promise<SQSBatchResponse> => {
  const deadline = deadlineOf(context, RESERVE_MS);
  const failures = await Promise.all(
    Records.map(async ({ messageId, body }) => {
      try {
        const message = v.parse(queued, JSON.parse(body));
        if (message.kind === 'disconnect') await closeMarked(message.room_id, messageId, deadline);
        else if (message.kind === 'digest') {
          const outcome = await sendDigest(message, deadline);
          console.info({ action: 'digest', message_id: messageId, room_id: message.room_id, outcome });
        } else if (message.kind === 'publish') await publishAll([message.event]);
        else if (message.kind === 'schedules') await syncSchedules(message.room_id, message.moments);
        else {
          const { room_id, participant_id } = message;
          const outcome =
            message.kind === 'liveness'
              ? { liveness: await checkLiveness(message, deadline) }
              : { left: await markAbsent(room_id, participant_id, message.left_at) };
          console.info({ action: 'presence', message_id: messageId, room_id, user: participant_id, ...outcome });
        }
        return [];
      } catch (error) {
        logError({ action: 'presence', message_id: messageId }, error);
        return [{ itemIdentifier: messageId }];
      }
    }),
  );
  return { batchItemFailures: failures.flat() };
};

/** Synchronizes the schedules of a room with its current times. */
async function syncSchedules(room_id: string, moments: readonly Moment[]): Promise<void> {
  const room = await get<RoomItem>(roomKey(room_id));
  if (room) await syncSchedulesOf(room, moments);
}

/**
 * Closes the marked connections of a room. If some remain open, queues another attempt.
 *
 * @throws if no connection could be closed, so that the queue retries
 */
async function closeMarked(room_id: string, message_id: string, deadline: Deadline): Promise<void> {
  const { closed, open } = await retryDisconnect(room_id, deadline);
  console.info({ action: 'retry_disconnect', message_id, room_id, closed, open });
  if (open === 0) return;
  if (closed === 0) throw new Error(`${open} connections of room ${room_id} could not be closed.`);
  await queueDisconnect(room_id);
}
