import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allRoutes } from '../../core/contract/index.ts';
import type { Route } from '../../core/contract/route.ts';
import { appendMessage } from '../../core/store/messages.ts';
import { invoke, type Operation, type Request } from '../support/invoke.ts';
import { newRoom } from '../support/world.ts';

/*
 * Random input: every response matches the contract and is never a 5xx, and a rejected request writes nothing. `invoke`
 * checks the responses, and checks after each rejection that nothing was written.
 */

const RUNS = 120;

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom(
    '',
    'x',
    'started',
    'asc',
    '__proto__',
    'ROOM#1',
    '\0',
    '\ud800',
    '2030-01-01T00:00:00Z',
    '1e3',
    'text/plain',
  ),
);
const anyValue = fc.oneof(
  text,
  fc.integer(),
  fc.double(),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.array(text, { maxLength: 5 }),
  fc.constantFrom(null, true, false, 0, -1, 1, Number.MAX_SAFE_INTEGER),
  fc.jsonValue({ maxDepth: 3 }),
);

const namesIn = (schema: object | undefined): string[] =>
  schema && 'entries' in schema && schema.entries ? Object.keys(schema.entries) : [];

/** Some bodies resemble a valid one, others have nothing in common with it. */
const bodies = ({ body }: Route): fc.Arbitrary<string | undefined> => {
  const fields = Object.fromEntries(namesIn(body).map((name) => [name, anyValue]));
  return fc.oneof(
    { weight: 6, arbitrary: fc.record(fields, { requiredKeys: [] }).map((value) => JSON.stringify(value)) },
    { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
    { weight: body ? 1 : 20, arbitrary: fc.constant(undefined) },
  );
};

const queries = ({ query }: Route): fc.Arbitrary<string> => {
  const name = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom('x', ...namesIn(query)) },
    { weight: 1, arbitrary: text },
  );
  const value = fc.oneof(text, fc.integer().map(String), fc.double().map(String), fc.base64String());
  const wellFormed = (pairs: readonly (readonly [string, string])[]) => {
    const search = new URLSearchParams();
    for (const [key, each] of pairs) search.append(key, each);
    return search.toString();
  };
  return fc.oneof(
    { weight: query ? 4 : 1, arbitrary: fc.array(fc.tuple(name, value), { maxLength: 4 }).map(wellFormed) },
    { weight: 1, arbitrary: fc.string({ maxLength: 40 }).map((raw) => raw.replaceAll('#', '')) },
    { weight: 5, arbitrary: fc.constant('') },
  );
};

async function roomWithMessage() {
  const world = await newRoom();
  const { room_id, admin: sender_id } = world;
  const now = new Date().toISOString();
  const { message_id } = await appendMessage({ room_id, sender_id, client_message_id: 'm', text: 'x', now });
  return { ...world, message_id };
}

describe('arbitrary input', () => {
  test.each(allRoutes.map((route) => [route.operation, route] as const))(
    'gets a response of the contract from %s',
    async (operation, route) => {
      /** Some requests end the room. The next request then gets a new room. */
      let room = await roomWithMessage();
      let refusals = 0;
      const idOf = {
        message_id: fc.oneof(fc.constant('message'), text),
        participant_id: fc.oneof(fc.constant('member'), text),
        room_id: fc.oneof({ weight: 9, arbitrary: fc.constant('room') }, { weight: 1, arbitrary: text }),
      };
      await fc.assert(
        fc.asyncProperty(
          bodies(route),
          queries(route),
          fc.record(idOf),
          fc.oneof(fc.constant(undefined), text),
          async (body, query, ids, key) => {
            const params = {
              room_id: ids.room_id === 'room' ? room.room_id : ids.room_id,
              ...(route.path.includes('{message_id}') && {
                message_id: ids.message_id === 'message' ? room.message_id : ids.message_id,
              }),
              ...(route.path.includes('{participant_id}') && {
                participant_id: ids.participant_id === 'member' ? room.member : ids.participant_id,
              }),
            };
            const request: Request = {
              as: room.admin,
              query,
              body,
              ...(route.params && { params }),
              ...(key !== undefined && { headers: { 'Idempotency-Key': key } }),
            };
            const reply = await invoke(operation as Operation, request);
            expect(reply.status).toBeLessThan(500);
            if (!reply.ok) refusals++;
            if (!reply.ok && reply.code === 'room_ended') room = await roomWithMessage();
          },
        ),
        { numRuns: RUNS },
      );
      // Without rejections, the input was not random enough.
      expect(refusals).toBeGreaterThan(0);
    },
  );
});
