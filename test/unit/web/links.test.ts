import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pieces } from '../../../web/src/ui/links.ts';

const links = (text: string) =>
  pieces(text).flatMap((piece) => (piece.kind === 'link' ? [[piece.text, piece.href]] : []));

describe('links in messages', () => {
  test.each([
    ['https://example.com/a?b=c#d', 'https://example.com/a?b=c#d'],
    ['http://localhost:4000/#/room/1', 'http://localhost:4000/#/room/1'],
    ['HTTPS://EXAMPLE.COM', 'https://example.com/'],
    ['www.example.com', 'http://www.example.com/'],
    ['https://bücher.example/ü', 'https://xn--bcher-kva.example/%C3%BC'],
  ])('links %s', (text, href) => {
    expect(links(`Look: ${text} there`)).toEqual([[text, href]]);
  });

  test.each([
    ['See https://example.com/a.', 'https://example.com/a'],
    ['(https://example.com/a)', 'https://example.com/a'],
    ['https://en.wikipedia.org/wiki/A_(b)', 'https://en.wikipedia.org/wiki/A_(b)'],
    ['“https://example.com/a”, and more', 'https://example.com/a'],
    ['https://example.com/a…', 'https://example.com/a'],
    ['https://example.com/a<b>', 'https://example.com/a'],
    ['https://example.com/a\nnext line', 'https://example.com/a'],
  ])('excludes the punctuation around a link: %s', (text, href) => {
    expect(links(text)).toEqual([[href, href]]);
  });

  test.each([
    'javascript:alert(1)',
    'JavaScript://example.com/%0aalert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'file:///etc/passwd',
    'ftp://example.com/a',
    'mailto:a@example.com',
    'a@example.com',
    '//example.com/a',
    'readme.md and start.sh',
    'example.com',
    '1.2.3.4',
    'https://',
    'https://bank.example@evil.example/login',
    'https://user:password@evil.example/',
    'https://example.com/\u202egnp.exe',
    'https://example.com/\u2066x\u2069',
  ])('does not link %j', (text) => {
    expect(pieces(text)).toEqual([{ kind: 'text', text }]);
  });

  test('shows the real host of a link with letters that look like others', () => {
    expect(pieces('https://аррӏе.com/')).toEqual([
      { kind: 'link', text: 'https://аррӏе.com/', href: 'https://xn--80ak6aa92e.com/', realHost: 'xn--80ak6aa92e.com' },
    ]);
    expect(pieces('https://apple.com/ü')).toMatchObject([{ kind: 'link', realHost: undefined }]);
  });

  test('keeps every character of every text, and links to http and https only', () => {
    const part = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('https://', 'http://', 'javascript:', 'www.', '@', 'example.com', '\u202e', '.', ')', ' ', '\n'),
    );
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const text = parts.join('');
        const found = pieces(text);
        expect(found.map((piece) => piece.text).join('')).toBe(text);
        for (const piece of found) if (piece.kind === 'link') expect(piece.href).toMatch(/^https?:\/\/[^@/]+(\/|$)/);
      }),
    );
  });
});
