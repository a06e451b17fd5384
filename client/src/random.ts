/** Returns 128 random bits as text. Browsers support `crypto.randomUUID` only on pages from https or localhost. */
export const randomId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
