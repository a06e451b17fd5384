/*
 * Pure functions that change the changelog and package files for a release.
 */

const UNRELEASED = '## [Unreleased]\n';

/**
 * Returns the changelog with everything under "Unreleased" moved to a version, and an empty "Unreleased" above it.
 *
 * @param date of the release, `YYYY-MM-DD`
 * @throws if there is nothing under "Unreleased"
 */
export function released(changelog: string, version: string, date: string): string {
  const start = changelog.indexOf(UNRELEASED);
  if (start < 0) throw new Error('CHANGELOG.md has no section "## [Unreleased]".');
  const body = changelog.slice(start + UNRELEASED.length);
  const next = body.search(/^## \[/m);
  const own = (next < 0 ? body : body.slice(0, next)).trim();
  if (!/^- /m.test(own)) throw new Error('CHANGELOG.md has no changes under "Unreleased".');
  const contract = /^With contract .*$/m.exec(own)?.[0];
  const unreleased = [UNRELEASED.trim(), ...(contract ? [contract] : [])].join('\n\n');
  const earlier = next < 0 ? '' : `\n\n${body.slice(next)}`;
  return `${changelog.slice(0, start)}${unreleased}\n\n## [${version}] - ${date}\n\n${own}${earlier || '\n'}`;
}

/** Returns a package.json or package-lock.json with the version of the package itself replaced. */
export function withVersion(text: string, version: string): string {
  const [, indent = '  '] = /^\{\n(\s+)"/.exec(text) ?? [];
  const json: unknown = JSON.parse(text);
  const own = Object(json);
  own.version = version;
  if (own.packages?.['']) own.packages[''].version = version;
  return `${JSON.stringify(own, null, indent)}\n`;
}
