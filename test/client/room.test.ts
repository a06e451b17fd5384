import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { roomActor } from '../../client/src/room.ts';
import { type Move, type Play, play, plays, type Reaction } from './room-stage.ts';

/* Property tests of a room: random moves of its socket, the service, the application and the clock. */

const NUM_RUNS = 300;

/** Returns what the room did after its end, except results of the application's calls and the frames that leave the room. */
const afterEnd = ({ trace }: Play): readonly string[] =>
  trace
    .slice(trace.findIndex((line) => line.startsWith('closed ')) + 1)
    .filter((line) =>
      /^(message|peer_|room_|participant_|typing|read|missed|rejoined|waiting|closed|is detached)/.test(line),
    );

const ANSWER: Move = { do: 'answer' };
/** The moves after which the room is live: the responses with the history, the join and the messages that were stored between them. */
const LIVE: readonly Move[] = [{ do: 'open', v2: false }, ANSWER, ANSWER, ANSWER];
const event = (made: 'message' | 'typing'): Move => ({ do: 'event', made, skip: 0, isLost: false });

test.each<[string, Reaction, readonly Move[]]>([
  ['for missed', { to: 'missed', do: 'leave', after: 0 }, [{ do: 'open', v2: false }, ANSWER, ANSWER]],
  ['for typing', { to: 'typing', do: 'leave', after: 1 }, [event('typing'), event('message')]],
])('a room that a listener %s closes emits nothing after closed', async (_, reaction, moves) => {
  const played = await play(roomActor, { moves: [...LIVE, ...moves], options: {}, reaction });
  expect(played.isClosed).toBe(true);
  expect(afterEnd(played)).toEqual([]);
});

describe('after any moves', () => {
  test('a closed room emits nothing except the outcomes of messages that are being sent', async () => {
    await fc.assert(
      fc.asyncProperty(plays, async (scene) => {
        const played = await play(roomActor, scene, true);
        if (played.isClosed) expect(afterEnd(played)).toEqual([]);
      }),
      { numRuns: NUM_RUNS },
    );
  });

  test('join settles exactly once, and a closed room has no timers except those of messages that are being sent', async () => {
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

  test('join settles within joinMs, even if nothing else happens', async () => {
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
