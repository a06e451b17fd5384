import { LinkifyIt } from 'linkify-it';

/** A piece of a text: plain, or a link. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'link';
      readonly text: string;
      /** Starts with `http:` or `https:`. Names of hosts are in ASCII (punycode). */
      readonly href: string;
      /** The host in ASCII, where the text spells it otherwise: letters of other alphabets can look like Latin ones. */
      readonly realHost: string | undefined;
    };

/*
 * Only texts that say they are links: with a scheme, or with "www.". Names such as "readme.md" and "start.sh" are files far more often
 * than hosts.
 */
const linkify = new LinkifyIt({ fuzzyLink: true, fuzzyEmail: false, urlAuth: true })
  .add('ftp:', null)
  .add('mailto:', null)
  .add('//', null);

/** Controls that change the direction of a text: a link with one can show another address than it leads to. */
const BIDI_CONTROL = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/** The address that a link leads to; undefined where it must not be one. */
function hrefOf(url: string): string | undefined {
  if (BIDI_CONTROL.test(url) || !URL.canParse(url)) return undefined;
  const { protocol, username, password, href } = new URL(url);
  // "https://bank.example@evil.example" reads like an address of the bank.
  return (protocol === 'http:' || protocol === 'https:') && !username && !password ? href : undefined;
}

/** Splits a text into plain pieces and links. The pieces, put together, are the text. */
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
