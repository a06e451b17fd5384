/** URL prefixes of AWS, each with where it leads on this machine. */
export type LocalUrls = Readonly<Record<string, string>>;

/**
 * Does for a function's variables what DNS does for a function in AWS: URLs of the template's resources lead to where they
 * are served.
 */
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
