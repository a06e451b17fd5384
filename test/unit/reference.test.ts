import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERRORS } from '../../core/contract/errors.ts';
import { allRoutes } from '../../core/contract/index.ts';
import { deployableNames, settingsOf } from '../../lib/environments.ts';
import { referencePages } from '../../tools/generate/reference/index.ts';

const FOLDER = resolve(import.meta.dirname, '../../docs/reference');
const pages = new Map(Object.entries(referencePages()));
const pageOf = (name: string): string => pages.get(name) ?? '';

describe('the generated reference pages', () => {
  test.each([...pages])('%s is up to date', (name, text) => {
    expect(readFileSync(resolve(FOLDER, name), 'utf8') === text, 'Run "npm run reference" and commit it.').toBe(true);
  });

  test.each(allRoutes.map((route) => [route.operation, route] as const))('http.md describes %s', (_, route) => {
    expect(pageOf('http.md')).toContain(`**\`${route.method} ${route.path}\`** (operation \`${route.operation}\`)`);
  });

  test('http.md has an anchor for every link within the page', () => {
    const anchors = [...pageOf('http.md').matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );
    const links = [...pageOf('http.md').matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor]) => anchor);
    expect(links.length).toBeGreaterThan(20);
    expect(links.filter((anchor) => !anchors.includes(anchor ?? ''))).toEqual([]);
  });

  test('errors.md has every error code', () => {
    for (const [code, { status, message }] of Object.entries(ERRORS))
      expect(pageOf('errors.md')).toContain(`| \`${code}\` | ${status} | ${message} |`);
  });

  test('configuration.md has every setting that an environment sets', () => {
    for (const name of deployableNames)
      for (const setting of Object.keys(settingsOf(name)))
        expect(pageOf('configuration.md')).toContain(`## \`${setting}\``);
  });
});
