import { LinkifyIt } from 'linkify-it';

/** A part of a text: plain text or a link. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'link';
      readonly text: string;
      /** URL that starts with `http:` or `https:`. Its host is in ASCII (punycode). */
      readonly href: string;
      /** The host in ASCII, if the text has other letters, which can look like Latin ones. */
      readonly realHost: string | undefined;
    };

/*
 * Recognizes only links with a scheme or with "www.". Names such as "readme.md" and "start.sh" are usually files, although they
 * could be hosts.
 */
const linkify = new LinkifyIt({ fuzzyLink: true, fuzzyEmail: false, urlAuth: true })
  .add('ftp:', null)
  .add('mailto:', null)
  .add('//', null);

/** Bidirectional control characters, with which a link could look like another URL. */
const BIDI_CONTROL = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/** Returns the URL of a link, or undefined if the URL is not safe. */
function hrefOf(url: string): string | undefined {
  if (BIDI_CONTROL.test(url) || !URL.canParse(url)) return undefined;
  const { protocol, username, password, href } = new URL(url);
  // Rejects URLs with a user name: "https://bank.example@evil.example" looks like a URL of the bank.
  return (protocol === 'http:' || protocol === 'https:') && !username && !password ? href : undefined;
}

/** Splits a text into plain parts and links. The parts together are the whole text. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  const plainUpTo = (index: number): void => {
    if (index > end) found.push({ kind: 'text', text: text.slice(end, index) });
  };
  for (const { schema, index, lastIndex, url, text: shown } of linkify.match(text) ?? []) {
    const saysSo = schema === 'http:' || schema === 'https:' || /^www\./i.test(shown);
    const href = saysSo ? hrefOf(url) : undefined;
    if (!href) continue;
    plainUpTo(index);
    const { hostname } = new URL(href);
    found.push({
      kind: 'link',
      text: shown,
      href,
      realHost: /[^\x00-\x7f]/.test(shown) && hostname.includes('xn--') ? hostname : undefined,
    });
    end = lastIndex;
  }
  plainUpTo(text.length);
  return found;
}
