import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { PRESENCE_GRACE_SECONDS } from '../contract/limits.ts';
import type { RoomEvent } from '../contract/realtime.ts';
import { abortable } from '../platform/abort.ts';
import { SHORT_TIME_LIMITS } from '../platform/client-settings.ts';
import { env } from '../platform/env.ts';
import type { Timestamp } from '../rules/time.ts';
import type { Moment } from './schedule.ts';

/** A participant who lost the last connection at `left_at`. */
export interface Absence {
  readonly room_id: string;
  readonly participant_id: string;
  readonly left_at: Timestamp;
}

/** Connections of a room could not be closed. A message on the queue without a `kind` is an absence. */
export interface DisconnectRetry {
  readonly kind: 'disconnect';
  readonly room_id: string;
}

/**
 * A check of a present participant's connections. `due` also identifies it: only the check with the recorded time is
 * valid.
 */
export interface LivenessCheck {
  readonly kind: 'liveness';
  readonly room_id: string;
  readonly participant_id: string;
  readonly due: Timestamp;
}

/** A presence digest of a large room. `due` also identifies it: only the digest with the recorded time is valid. */
export interface Digest {
  readonly kind: 'digest';
  readonly room_id: string;
  readonly due: Timestamp;
}

/** A failed effect of a change, which is retried separately. */
export type DeferredEffect =
  | { readonly kind: 'publish'; readonly event: RoomEvent }
  | { readonly kind: 'schedules'; readonly room_id: string; readonly moments: readonly Moment[] };

/** The delay before a retry after a service has failed, in seconds. */
const EFFECT_DELAY_SECONDS = 10;

/** In seconds. Throttling has usually ended by then. */
const DISCONNECT_DELAY_SECONDS = 5;

let client: SQSClient | undefined;

async function queue(
  message: Absence | DisconnectRetry | LivenessCheck | Digest | DeferredEffect,
  DelaySeconds: number,
): Promise<void> {
  client ??= abortable(new SQSClient(SHORT_TIME_LIMITS));
  await client.send(
    new SendMessageCommand({
      QueueUrl: env('PRESENCE_QUEUE_URL'),
      MessageBody: JSON.stringify(message),
      DelaySeconds,
    }),
  );
}

/** Queues a check, after the grace period, of whether the participant has returned. */
export const queueAbsenceCheck = ({ room_id, participant_id, left_at }: Absence): Promise<void> =>
  queue({ room_id, participant_id, left_at }, PRESENCE_GRACE_SECONDS);

/** Queues another attempt to close the marked connections of a room, a few seconds from now. */
export const queueDisconnect = (room_id: string): Promise<void> =>
  queue({ kind: 'disconnect', room_id }, DISCONNECT_DELAY_SECONDS);

/** Queues an effect that has failed. */
export const queueEffect = (effect: DeferredEffect): Promise<void> => queue(effect, EFFECT_DELAY_SECONDS);

/** Queues a check of a participant's connections. */
export const queueLivenessCheck = (check: LivenessCheck, seconds: number): Promise<void> => queue(check, seconds);

/** Queues a digest of a room's presence after a number of whole seconds. */
export const queueDigest = ({ room_id, due }: Omit<Digest, 'kind'>, seconds: number): Promise<void> =>
  queue({ kind: 'digest', room_id, due }, seconds);
