import { useRoom } from '../../../client/src/react/index.ts';
import { useSession } from '../session/user-session.ts';
import { ClockIcon } from '../ui/icons.tsx';
import { useNow } from '../ui/small.tsx';
import { countdown } from '../ui/text.ts';

/** Minutes that one click adds to the end. */
const EXTEND_MINUTES = 15;

/** Warns that the room ends soon. Admins can extend it. */
export function EndingBanner({ roomId }: { roomId: string }) {
  const { ending, room, status } = useRoom(roomId);
  if (!ending || status !== 'joined') return null;
  return <Warning roomId={roomId} endsAt={ending.ends_at} isAdmin={room?.is_admin ?? false} />;
}

function Warning({ roomId, endsAt, isAdmin }: { roomId: string; endsAt: string; isAdmin: boolean }) {
  const { client, attempt } = useSession();
  const now = useNow(1_000);
  const extend = () => {
    const end_time = new Date(Date.parse(endsAt) + EXTEND_MINUTES * 60_000).toISOString();
    return attempt(() => client.updateRoom(roomId, { end_time }));
  };
  return (
    <div class="banner ending">
      <p>
        <ClockIcon />
        <span role="alert">This room ends soon.</span> <span role="timer">{countdown(endsAt, now)} left</span>
      </p>
      {isAdmin && (
        <button type="button" class="button small" onClick={() => void extend()}>
          Extend by {EXTEND_MINUTES} minutes
        </button>
      )}
    </div>
  );
}
