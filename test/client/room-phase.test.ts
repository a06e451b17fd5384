import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Input, isJoined, nextPhase, type Phase } from '../../client/src/room-phase.ts';

const INPUTS: readonly Input[] = [
  'socket_opened',
  'socket_lost',
  'join_accepted',
  'caught_up',
  'gap_found',
  'join_lost',
  'room_booked',
  'room_started',
  'room_ended',
  'closed',
];
const after = (inputs: readonly Input[]): Phase =>
  inputs.reduce<Phase>((phase, input) => nextPhase(phase, input) ?? phase, 'away');

test.each<[readonly Input[], Phase]>([
  [['socket_opened'], 'joining'],
  [['socket_opened', 'join_accepted'], 'catching_up'],
  [['socket_opened', 'join_accepted', 'caught_up'], 'live'],
  [['socket_opened', 'join_accepted', 'caught_up', 'gap_found'], 'catching_up'],
  [['socket_opened', 'join_accepted', 'caught_up', 'join_lost'], 'joining'],
  [['socket_opened', 'join_accepted', 'socket_lost'], 'away'],
  [['socket_opened', 'room_booked'], 'booked'],
  [['socket_opened', 'room_booked', 'room_started'], 'joining'],
  [['socket_opened', 'room_booked', 'socket_lost'], 'away'],
  [['socket_opened', 'join_accepted', 'caught_up', 'room_ended'], 'ending'],
])('%j leads to %s', (inputs, phase) => {
  expect(after(inputs)).toBe(phase);
});

const histories = fc.array(fc.constantFrom(...INPUTS), { maxLength: 30 });

test('a room that has ended needs no socket, and can only close', () => {
  fc.assert(fc.property(histories, (more) => ['ending', 'closed'].includes(after(['room_ended', ...more]))));
});

test('a closed room stays closed', () => {
  fc.assert(fc.property(histories, (more) => after([...more, 'closed', ...more]) === 'closed'));
});

test('messages are sent only after the service has accepted the join on the current socket', () => {
  fc.assert(
    fc.property(histories, (inputs) => {
      if (!isJoined(after(inputs))) return true;
      const opened = inputs.lastIndexOf('socket_opened');
      return inputs.indexOf('join_accepted', opened) > opened && !inputs.slice(opened).includes('socket_lost');
    }),
  );
});

test('after a lost socket, every phase that needs one leads to the next join', () => {
  for (const phase of ['joining', 'catching_up', 'live', 'booked'] as const)
    expect(nextPhase(nextPhase(phase, 'socket_lost') ?? 'closed', 'socket_opened')).toBe('joining');
});
