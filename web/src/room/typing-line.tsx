import { useTyping } from '../../../client/src/react/index.ts';

/** Shows who else is typing. A separate component, so that typing does not render the rest of the room. */
export function TypingLine({ roomId }: { roomId: string }) {
  const { typing } = useTyping(roomId);
  const names = typing.map(({ username, participant_id }) => username ?? participant_id);
  return (
    <p class="typing muted small" role="status">
      {names.length > 0 && (
        <>
          <bdi>{names.slice(0, 3).join(', ')}</bdi>
          {names.length === 1 ? ' is typing…' : ' are typing…'}
        </>
      )}
    </p>
  );
}
