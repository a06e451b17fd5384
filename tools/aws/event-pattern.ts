/*
 * Compiles event patterns, the filters of event source mappings
 * (https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html).
 */

/** Returns whether an event matches. */
export type Matches = (event: unknown) => boolean;

/** Returns whether one value of an event matches; `undefined` stands for a missing value. */
type Test = (value: unknown) => boolean;

/**
 * Compiles a pattern.
 *
 * @param pattern as parsed JSON
 * @throws with the path, if it is invalid or has an unknown comparison
 */
export function compilePattern(pattern: unknown, path = ''): Matches {
  const fields = record(pattern, path);
  const tests = Object.entries(fields).map(([name, part]): Matches => {
    const here = path ? `${path}.${name}` : name;
    if (name === '$or') {
      const branches = list(part, here).map((branch, index) => compilePattern(branch, `${here}.${index}`));
      return (event) => branches.some((branch) => branch(event));
    }
    if (!Array.isArray(part)) {
      const inner = compilePattern(part, here);
      return (event) => inner(fieldOf(event, name));
    }
    const comparisons = part.map((comparison: unknown, index) => compileTest(comparison, `${here}.${index}`));
    return (event) => {
      const value = fieldOf(event, name);
      // For a list in the event, one matching item is enough.
      const values = Array.isArray(value) ? value : [value];
      return comparisons.some((test) => values.some(test));
    };
  });
  return (event) => tests.every((test) => test(event));
}

/**
 * Compiles the FilterCriteria of an event source mapping: one matching pattern is enough, and without patterns
 * everything matches.
 */
export function compileFilters(patterns: readonly string[]): Matches {
  if (patterns.length === 0) return () => true;
  const compiled = patterns.map((text) => compilePattern(JSON.parse(text)));
  return (event) => compiled.some((matches) => matches(event));
}

function compileTest(comparison: unknown, path: string): Test {
  if (typeof comparison !== 'object' || comparison === null) return (value) => value === comparison;
  const [[operator, operand] = [], ...others] = Object.entries(comparison);
  if (operator === undefined || others.length > 0) throw new Error(`${path}: a comparison has exactly one operator`);
  const here = `${path}.${operator}`;
  const onText =
    (passes: (value: string) => boolean): Test =>
    (value) =>
      typeof value === 'string' && passes(value);
  switch (operator) {
    case 'prefix': {
      const prefix = text(operand, here);
      return onText((value) => value.startsWith(prefix));
    }
    case 'suffix': {
      const suffix = text(operand, here);
      return onText((value) => value.endsWith(suffix));
    }
    case 'equals-ignore-case': {
      const wanted = text(operand, here).toLowerCase();
      return onText((value) => value.toLowerCase() === wanted);
    }
    case 'exists':
      return (value) => (value !== undefined) === operand;
    case 'anything-but': {
      const unwanted = (Array.isArray(operand) ? operand : [operand]).map((each: unknown, index) =>
        compileTest(each, `${here}.${index}`),
      );
      return (value) => value !== undefined && !unwanted.some((test) => test(value));
    }
    case 'numeric': {
      const bounds = numericBounds(list(operand, here), here);
      return (value) => typeof value === 'number' && bounds.every((within) => within(value));
    }
    default:
      throw new Error(`${path}: the local stack does not support the comparison "${operator}"`);
  }
}

const COMPARE: Readonly<Record<string, (value: number, bound: number) => boolean>> = {
  '=': (value, bound) => value === bound,
  '>': (value, bound) => value > bound,
  '>=': (value, bound) => value >= bound,
  '<': (value, bound) => value < bound,
  '<=': (value, bound) => value <= bound,
};

/** Compiles a numeric comparison, such as `[">", 0, "<=", 5]`. */
function numericBounds(parts: readonly unknown[], path: string): ((value: number) => boolean)[] {
  if (parts.length === 0 || parts.length % 2 !== 0) throw new Error(`${path}: pairs of a sign and a number are needed`);
  return Array.from({ length: parts.length / 2 }, (_, index) => {
    const [sign, bound] = parts.slice(2 * index, 2 * index + 2);
    const compare = typeof sign === 'string' ? COMPARE[sign] : undefined;
    if (!compare || typeof bound !== 'number') throw new Error(`${path}: pairs of a sign and a number are needed`);
    return (value: number) => compare(value, bound);
  });
}

const fieldOf = (event: unknown, name: string): unknown =>
  isRecord(event) && Object.hasOwn(event, name) ? event[name] : undefined;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function record(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (isRecord(value)) return value;
  throw new Error(`${path || 'The pattern'}: an object or a list of values is needed`);
}

function list(value: unknown, path: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`${path}: a list is needed`);
}

function text(value: unknown, path: string): string {
  if (typeof value === 'string') return value;
  throw new Error(`${path}: a string is needed`);
}
