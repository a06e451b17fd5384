import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { roomActor } from '../../client/src/room.ts';
import { type Move, type Play, play, plays, type Reaction } from './room-stage.ts';

/* A room whose socket, service, application and clock do anything at any time. */

const NUM_RUNS = 300;

/** What the room did after its end, but for the answers to calls of the application and what it sends to leave. */
const afterEnd = ({ trace }: Play): readonly string[] =>
  trace
    .slice(trace.findIndex((line) => line.startsWith('closed ')) + 1)
    .filter((line) =>
      /^(message|peer_|room_|participant_|typing|read|missed|rejoined|waiting|closed|is detached)/.test(line),
    );

const ANSWER: Move = { do: 'answer' };
/** The history, the join, and what was stored between them: the room is live afterwards. */
const LIVE: readonly Move[] = [{ do: 'open', v2: false }, ANSWER, ANSWER, ANSWER];
const event = (made: 'message' | 'typing'): Move => ({ do: 'event', made, skip: 0, isLost: false });

test.each<[string, Reaction, readonly Move[]]>([
  ['of missed', { to: 'missed', do: 'leave', after: 0 }, [{ do: 'open', v2: false }, ANSWER, ANSWER]],
  ['of typing', { to: 'typing', do: 'leave', after: 1 }, [event('typing'), event('message')]],
])('a room that a listener %s closes emits nothing after closed', async (_, reaction, moves) => {
  const played = await play(roomActor, { moves: [...LIVE, ...moves], options: {}, reaction });
  expect(played.isClosed).toBe(true);
  expect(afterEnd(played)).toEqual([]);
});

describe('whatever happens to a room', () => {
  test('a closed room emits nothing but what becomes of messages that are being sent', async () => {
    await fc.assert(
      fc.asyncProperty(plays, async (scene) => {
        const played = await play(roomActor, scene, true);
        if (played.isClosed) expect(afterEnd(played)).toEqual([]);
      }),
      { numRuns: NUM_RUNS },
    );
  });

  test('the call of join settles exactly once, and no timer outlives the room but those of messages that are being sent', async () => {
    await fc.assert(
      fc.asyncProperty(plays, async ({ moves, reaction, ...scene }) => {
        const quiet = {
          ...scene,
          moves: moves.filter((move) => move.do !== 'send'),
          reaction: reaction?.do === 'send' ? undefined : reaction,
        };
        const { settled, timers } = await play(roomActor, quiet, true);
        expect({ settled, timers }).toEqual({ settled: 1, timers: 0 });
      }),
      { numRuns: NUM_RUNS },
    );
  });

  test('the call of join settles within joinMs, without any help', async () => {
    await fc.assert(
      fc.asyncProperty(plays, async (scene) => {
        const moves = [...scene.moves, { do: 'wait', ms: 31_000 } as const];
        expect((await play(roomActor, { ...scene, moves })).settled).toBe(1);
      }),
      { numRuns: NUM_RUNS },
    );
  });

  test('each message is delivered once', async () => {
    await fc.assert(
      fc.asyncProperty(plays, async (scene) => {
        const { trace } = await play(roomActor, scene);
        const messages = trace
          .filter((line) => line.startsWith('message {'))
          .map((line) => JSON.parse(line.slice(8)).message_id);
        expect(messages).toEqual([...new Set(messages)]);
      }),
      { numRuns: NUM_RUNS },
    );
  });
});
