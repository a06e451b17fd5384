import { describe, expect, test } from 'vitest';
import { released, withVersion } from '../../tools/release/changelog.ts';

const CHANGELOG = `# Changelog

## [Unreleased]

With contract 1.1.0.

### Added

- A feature.

## [0.1.0] - 2026-11-24

- The first release.
`;

describe('a release', () => {
  test('moves the unreleased changes to the version and starts an empty section', () => {
    expect(released(CHANGELOG, '0.2.0', '2026-12-01')).toBe(`# Changelog

## [Unreleased]

With contract 1.1.0.

## [0.2.0] - 2026-12-01

With contract 1.1.0.

### Added

- A feature.

## [0.1.0] - 2026-11-24

- The first release.
`);
  });

  test('is rejected without unreleased changes', () => {
    const once = released(CHANGELOG, '0.2.0', '2026-12-01');
    expect(() => released(once, '0.3.0', '2026-12-02')).toThrow('no changes under "Unreleased"');
    expect(() => released('# Changelog\n', '0.2.0', '2026-12-01')).toThrow('no section "## [Unreleased]"');
  });

  test('sets only the versions of a package and of its lock file', () => {
    expect(withVersion('{\n  "name": "rooms",\n  "version": "0.1.0"\n}\n', '0.2.0')).toBe(
      '{\n  "name": "rooms",\n  "version": "0.2.0"\n}\n',
    );
    const lock = { version: '0.1.0', packages: { '': { version: '0.1.0' }, 'node_modules/a': { version: '0.1.0' } } };
    expect(JSON.parse(withVersion(JSON.stringify(lock), '0.2.0'))).toEqual({
      version: '0.2.0',
      packages: { '': { version: '0.2.0' }, 'node_modules/a': { version: '0.1.0' } },
    });
  });
});
