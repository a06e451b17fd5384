import { useTyping } from '../../../client/src/react/index.ts';

/** Who else is typing. A component of its own, so that nothing else is rendered for it. */
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
