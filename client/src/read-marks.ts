import type { ReadMark } from './contract.ts';
import type { RoomHost } from './room-host.ts';
import type { RoomOutlet } from './room-outlet.ts';

/* Marks messages as read. Calls during a request share the next one. */

export function readMarks(
  { userId, markRead }: Pick<RoomHost, 'userId' | 'markRead'>,
  outlet: RoomOutlet,
): (messageId: string) => Promise<ReadMark> {
  let marking: Promise<ReadMark> | undefined;
  /** The newest message in a read request to the service, and the newest one for the next request. */
  let [asked, wanted] = ['', ''];

  return async (message_id) => {
    const participant_id = userId();
    const read_to = outlet.info?.read_to;
    if (participant_id && read_to && message_id <= read_to) return { participant_id, read_to };
    if (message_id > wanted) wanted = message_id;
    await marking?.catch(() => {});
    if (!marking || wanted > asked) {
      asked = wanted;
      wanted = '';
      marking = markRead(asked);
      marking.then(outlet.onRead, () => {
        asked = '';
        marking = undefined;
      });
    }
    return marking;
  };
}
