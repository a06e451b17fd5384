import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Effect, type Input, isJoined, isPending, type Phase, step } from '../../client/src/room-machine.ts';

const INPUTS: readonly Input[] = [
  'socket_opened',
  'socket_lost',
  'join_accepted',
  'history_read',
  'gap_found',
  'join_lost',
  'room_booked',
  'room_started',
  'room_ended',
  'closed',
];

/** What each phase waits for: `socket_opened` is for the connection to bring, the others end the work of the phase. */
const WAITS: Readonly<Record<Phase, readonly [Effect | undefined, Input | undefined]>> = {
  unjoined: [undefined, 'socket_opened'],
  first_joining: ['join', 'join_accepted'],
  first_reading: ['read_history', 'history_read'],
  admitted: ['pause', 'history_read'],
  live: [undefined, undefined],
  filling_gap: ['read_history', 'history_read'],
  away: [undefined, 'socket_opened'],
  joining: ['join', 'join_accepted'],
  catching_up: ['read_history', 'history_read'],
  booked: ['await_start', 'room_started'],
  ending: ['read_last', 'closed'],
  closed: [undefined, undefined],
};
const PHASES = Object.keys(WAITS) as Phase[];
const WORK: ReadonlySet<Effect | undefined> = new Set(Object.values(WAITS).flatMap(([work]) => work ?? []));

/** What a room with these inputs does: each phase, with the effects that are performed when it begins. */
function lifeOf(inputs: readonly Input[]): readonly { readonly phase: Phase; readonly effects: readonly Effect[] }[] {
  let phase: Phase = 'unjoined';
  return inputs.flatMap((input) => {
    const next = step(phase, input);
    if (!next) return [];
    phase = next.phase;
    return [next];
  });
}
const phaseAfter = (...inputs: readonly Input[]): Phase => lifeOf(inputs).at(-1)?.phase ?? 'unjoined';
const effectsOf = (...inputs: readonly Input[]): readonly Effect[] => lifeOf(inputs).at(-1)?.effects ?? [];

const LIVE = ['socket_opened', 'join_accepted', 'history_read', 'history_read'] as const;

describe('the phases of a room', () => {
  test.each<[readonly Input[], Phase]>([
    [['socket_opened'], 'first_joining'],
    [['socket_opened', 'join_accepted'], 'first_reading'],
    [['socket_opened', 'join_accepted', 'history_read'], 'admitted'],
    [LIVE, 'live'],
    [['socket_opened', 'join_accepted', 'socket_lost'], 'unjoined'],
    [['socket_opened', 'join_accepted', 'history_read', 'socket_lost'], 'away'],
    [['socket_opened', 'room_booked'], 'first_joining'],
    [['socket_opened', 'room_ended'], 'first_joining'],
    [[...LIVE, 'gap_found'], 'filling_gap'],
    [[...LIVE, 'gap_found', 'history_read'], 'live'],
    [[...LIVE, 'join_lost'], 'joining'],
    [[...LIVE, 'socket_lost'], 'away'],
    [[...LIVE, 'socket_lost', 'socket_opened', 'join_accepted'], 'catching_up'],
    [[...LIVE, 'join_lost', 'room_booked'], 'booked'],
    [[...LIVE, 'join_lost', 'room_booked', 'room_started'], 'joining'],
    [[...LIVE, 'room_booked'], 'live'],
    [[...LIVE, 'room_ended'], 'ending'],
    [[...LIVE, 'room_ended', 'socket_opened'], 'ending'],
    [[...LIVE, 'room_ended', 'closed'], 'closed'],
  ])('%j lead to %s', (inputs, phase) => {
    expect(phaseAfter(...inputs)).toBe(phase);
  });

  test('the application hears that a room has been joined again, but not of the first join or a gap', () => {
    expect(effectsOf(...LIVE, 'socket_lost', 'socket_opened', 'join_accepted', 'history_read')).toEqual([
      'release',
      'follow',
      'take_detached',
      'emit_rejoined',
    ]);
    expect(effectsOf(...LIVE)).not.toContain('emit_rejoined');
    expect(effectsOf(...LIVE, 'gap_found', 'history_read')).not.toContain('emit_rejoined');
  });

  test('after a lost socket, every phase that needs one leads to the next join', () => {
    for (const phase of PHASES.filter((one) => !['ending', 'closed'].includes(one))) {
      const away = step(phase, 'socket_lost')?.phase ?? phase;
      expect(step(away, 'socket_opened')?.effects).toContain('join');
    }
  });
});

/** Any inputs. The shortest way to a live room comes first in half of them. */
const histories = fc
  .tuple(fc.boolean(), fc.array(fc.constantFrom(...INPUTS), { maxLength: 40, size: 'max' }))
  .map(([isLive, inputs]): readonly Input[] => [...(isLive ? LIVE : []), ...inputs]);
const always = (holds: (inputs: readonly Input[]) => boolean) =>
  fc.assert(fc.property(histories, holds), { numRuns: 2_000 });

describe('after any inputs', () => {
  test('a closed room stays closed, and has no more effects', () => {
    always((inputs) => lifeOf([...inputs, 'closed', ...inputs]).length === lifeOf([...inputs, 'closed']).length);
  });

  test('messages are delivered only in a live room, after its history was read on the current socket', () => {
    always((inputs) => {
      let isHolding = true;
      return lifeOf(inputs).every(({ phase, effects }) => {
        for (const effect of effects) {
          if (effect === 'hold' || effect === 'suspend') isHolding = true;
          if (effect === 'release') isHolding = false;
        }
        return isHolding === (phase !== 'live');
      });
    });
  });

  test('the numbers of feeds are followed only while a join is known', () => {
    always((inputs) => {
      let isFollowing = false;
      return lifeOf(inputs).every(({ phase, effects }) => {
        if (effects.includes('suspend')) isFollowing = false;
        if (effects.includes('follow')) isFollowing = true;
        return !isFollowing || isJoined(phase);
      });
    });
  });

  test('the call of join settles exactly once: resolved when the user is admitted, rejected when the room closes before', () => {
    always((inputs) => {
      const effects = lifeOf([...inputs, 'closed']).flatMap((one) => one.effects);
      const settled = effects.filter((effect) => effect === 'resolve_join' || effect === 'reject_join');
      const isAdmitted = lifeOf(inputs).some(({ phase }) => phase === 'admitted');
      return settled.join() === (isAdmitted ? 'resolve_join' : 'reject_join');
    });
  });

  test('the call of join waits exactly in the phases before the user is admitted', () => {
    always((inputs) => {
      const isSettled = lifeOf(inputs).some(
        ({ effects }) => effects.includes('resolve_join') || effects.includes('reject_join'),
      );
      return isPending(phaseAfter(...inputs)) === !isSettled;
    });
  });

  test('no wait is unbounded: each phase does one piece of work, and what ends it leads to another phase', () => {
    always((inputs) =>
      lifeOf(inputs).every(({ phase, effects }) => {
        const [work, end] = WAITS[phase];
        const isWorking = effects.filter((effect) => WORK.has(effect)).join() === (work ?? '');
        return isWorking && (!end || (step(phase, end)?.phase ?? phase) !== phase);
      }),
    );
  });

  test('a room closes whatever it waits for, and gives its socket back', () => {
    always((inputs) =>
      lifeOf([...inputs, 'closed']).some(({ phase, effects }) => phase === 'closed' && effects.includes('detach')),
    );
  });

  test('a room that has ended needs no socket, and can only close', () => {
    always((inputs) => {
      const phases = lifeOf(inputs).map(({ phase }) => phase);
      const at = phases.indexOf('ending');
      return at < 0 || phases.slice(at + 1).every((phase) => phase === 'closed');
    });
  });

  test('messages are sent only after the service has accepted the join on the current socket', () => {
    always((inputs) => {
      if (!isJoined(phaseAfter(...inputs))) return true;
      const opened = inputs.lastIndexOf('socket_opened');
      return inputs.indexOf('join_accepted', opened) > opened && !inputs.slice(opened).includes('socket_lost');
    });
  });
});
