/** URL prefixes of AWS, each with its local address. */
export type LocalUrls = Readonly<Record<string, string>>;

/** Replaces URLs of AWS in a function's variables by local ones. */
export const withLocalUrls = (
  variables: Readonly<Record<string, string>>,
  urls: LocalUrls,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(variables).map(([name, value]) => {
      const prefix = Object.keys(urls).find((url) => value === url || value.startsWith(`${url}/`));
      return [name, prefix === undefined ? value : `${urls[prefix]}${value.slice(prefix.length)}`];
    }),
  );
