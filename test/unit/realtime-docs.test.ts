import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import * as v from 'valibot';
import { describe, expect, onTestFinished, test } from 'vitest';
import { actions, COMMON_ACTION_ERRORS, type EventType, events } from '../../core/contract/realtime.ts';
import { SUB_PROTOCOL, SUB_PROTOCOL_V2 } from '../../core/contract/sub-protocols.ts';
import { EVENT_SOURCE } from '../../core/realtime/bus.ts';
import { busEvents, busExample, busSchema, eventExample, realtimeDocs } from '../../tools/generate/realtime-docs.ts';
import {
  DETACHED_FRAME_EXAMPLE,
  EVENTS_FRAME_EXAMPLE,
  FRAME_EXAMPLES,
  REPLY_EXAMPLES,
} from '../../tools/generate/realtime-texts.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const docs = new Map(Object.entries(realtimeDocs()));
const pageOf = (name: string): string => docs.get(name) ?? '';

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
addFormats.default(ajv);
/** The schema as readers get it: parsed from its text. */
const validate = ajv.compile(JSON.parse(pageOf('events.schema.json')));

describe('the pages on events and the WebSocket API', () => {
  test.each([...docs])('%s matches the contract', async (name, wanted) => {
    expect(await readFile(join(ROOT, 'docs', name), 'utf8'), 'Run "npm run events:docs".').toBe(wanted);
  });

  test('are checked and written by the command', { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rooms-docs-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const run = (...args: string[]) =>
      promisify(execFile)(process.execPath, [join(ROOT, 'tools/generate/commands/events.ts'), ...args, folder], {
        cwd: folder,
      }).then(
        ({ stdout }) => stdout.trim(),
        ({ code, stderr }: { code: number; stderr: string }) => `${code}: ${stderr.trim()}`,
      );
    const all = [...docs.keys()];
    const advice = 'Run "npm run events:docs" and commit the output.';
    const missing = all.map((name) => `${name} (missing)`).join(', ');
    expect(await run('--check')).toBe(`1: Out of date: ${missing}. ${advice}`);
    expect(await run()).toBe(`Wrote ${all.join(', ')}.`);
    expect(await run('--check')).toBe('Up to date.');
    await writeFile(join(folder, 'reference/events.md'), 'Something else');
    expect(await run('--check')).toBe(`1: Out of date: reference/events.md. ${advice}`);
    expect(await run('--chekc')).toMatch(/^2: .*--chekc.*Usage: npm run events:docs/s);
  });
});

describe('events on the bus', () => {
  test('are those that the contract declares for the bus', () => {
    const wanted = Object.entries<EventType>(events).flatMap(([name, { bus }]) => (bus ? [name] : []));
    expect(wanted.length).toBeGreaterThan(0);
    expect(busEvents).toEqual(wanted);
    expect(Object.keys(busSchema().$defs ?? {})).toEqual(wanted);
    expect([...pageOf('reference/events.md').matchAll(/^## `(.*)`$/gm)].map(([, name]) => name)).toEqual(wanted);
  });

  test.each(busEvents)('%s has an example that matches only its schema', (name) => {
    const example = busExample(name);
    expect(validate(example), ajv.errorsText(validate.errors)).toBe(true);
    expect(example.source).toBe(EVENT_SOURCE);
    expect(pageOf('reference/events.md')).toContain(JSON.stringify(example, null, 2));
    expect(pageOf('reference/events.md')).toContain(`{"source":["rooms"],"detail-type":["${name}"]}`);
    expect(validate({ ...example, source: 'aws.s3' })).toBe(false);
    expect(validate({ ...example, 'detail-type': 'message' })).toBe(false);
    expect(validate({ ...example, detail: { ...example.detail, data: {} } })).toBe(false);
    expect(validate({ ...example, detail: { ...example.detail, sent_at: 'yesterday' } })).toBe(false);
  });
});

describe('the schema of the WebSocket API', () => {
  const schema = JSON.parse(pageOf('websocket.schema.json'));
  const valid = (name: string, message: unknown): boolean => {
    const fits = ajv.compile({ ...schema, $ref: `#/$defs/${name}` });
    return fits(message);
  };
  const reply = (data: unknown) => ({ type: 'reply', request_id: '1', ok: true, data });
  const refusal = (code: string) => ({ type: 'reply', request_id: null, ok: false, error: { code, message: 'x' } });

  test('has exactly the messages of the contract', () => {
    const kinds = ['frame', 'reply', 'refusal'].flatMap((kind) =>
      Object.keys(actions).map((name) => `${kind}.${name}`),
    );
    const wanted = ['subprotocol', ...kinds, ...Object.keys(events).map((name) => `event.${name}`)];
    expect(Object.keys(schema.$defs)).toEqual([...wanted, 'v2.subprotocol', 'v2.events', 'v2.detached']);
    expect(valid('subprotocol', SUB_PROTOCOL)).toBe(true);
    expect(valid('v2.subprotocol', SUB_PROTOCOL_V2)).toBe(true);
  });

  test('describes the frames of rooms.v2 with each event, and rejects everything else', () => {
    expect(valid('v2.events', EVENTS_FRAME_EXAMPLE)).toBe(true);
    expect(valid('v2.detached', DETACHED_FRAME_EXAMPLE)).toBe(true);
    for (const name of Object.keys(events)) {
      const { type, data } = eventExample(name as keyof typeof events);
      expect(valid('v2.events', { ...EVENTS_FRAME_EXAMPLE, events: [{ type, data }] }), name).toBe(true);
      expect(valid('v2.events', { ...EVENTS_FRAME_EXAMPLE, events: [{ type, data: {} }] }), name).toBe(false);
    }
    for (const wrong of [{ feed: 'other' }, { seq: 0 }, { seq: 1.5 }, { room_id: 'x' }, { events: undefined }])
      expect(valid('v2.events', JSON.parse(JSON.stringify({ ...EVENTS_FRAME_EXAMPLE, ...wrong })))).toBe(false);
    expect(valid('v2.detached', { ...DETACHED_FRAME_EXAMPLE, reason: 'other' })).toBe(false);
  });

  test.each(Object.values(actions))('describes the frames of $action and their replies', ({ action, errors }) => {
    const frame = FRAME_EXAMPLES[action];
    expect(valid(`frame.${action}`, frame)).toBe(true);
    for (const wrong of [{ action: 'other' }, { request_id: undefined }, { more: 1 }])
      expect(valid(`frame.${action}`, JSON.parse(JSON.stringify({ ...frame, ...wrong })))).toBe(false);
    expect(valid(`reply.${action}`, reply(REPLY_EXAMPLES[action]))).toBe(true);
    expect(valid(`reply.${action}`, reply({}))).toBe(false);
    for (const code of [...COMMON_ACTION_ERRORS, ...errors])
      expect(valid(`refusal.${action}`, refusal(code))).toBe(true);
    expect(valid(`refusal.${action}`, refusal('last_admin'))).toBe(false);
  });

  test.each(Object.keys(events))('describes the event %s, and accepts no other event as it', (name) => {
    const example = eventExample(name as keyof typeof events);
    expect(valid(`event.${name}`, example)).toBe(true);
    for (const wrong of [{ type: 'other' }, { data: {} }, { room_id: 'x' }, { sent_at: 'yesterday' }])
      expect(valid(`event.${name}`, { ...example, ...wrong })).toBe(false);
  });
});

describe('the page on the WebSocket API', () => {
  const page = pageOf('reference/websocket.md');

  test('has every action and every event of the contract, in its order', () => {
    const names = [...Object.keys(actions), ...Object.keys(events)];
    // `message` is both an action and an event.
    const order = [...page.matchAll(/^### `(.*?)`/gm)].map(([, name]) => name);
    expect(order).toEqual(names);
  });

  test.each(Object.values(actions))(
    '$action has a valid frame, a valid reply and its errors',
    ({ action, frame, data, errors }) => {
      expect(v.is(frame, FRAME_EXAMPLES[action])).toBe(true);
      expect(v.is(data, REPLY_EXAMPLES[action])).toBe(true);
      const section = page.slice(page.indexOf(`### \`${action}\``)).split('\n### ')[0];
      expect(section).toContain(JSON.stringify(FRAME_EXAMPLES[action], null, 2));
      const documented = [...(section?.matchAll(/^\| `(\w+)` \| [^|]* \|$/gm) ?? [])].map(([, code]) => code);
      expect(documented).toEqual(errors);
    },
  );

  test('has the errors of every action', () => {
    for (const code of COMMON_ACTION_ERRORS) expect(page).toContain(`| \`${code}\` |`);
  });

  test.each(Object.entries<EventType>(events))('%s has a valid example', (name, { data }) => {
    const type = name as keyof typeof events;
    const example = eventExample(type);
    expect(v.is(data, example.data)).toBe(true);
    expect(page).toContain(JSON.stringify(example, null, 2));
  });

  test('contains no placeholder', () => {
    expect(page).not.toMatch(/__[A-Z_]+__/);
  });
});
