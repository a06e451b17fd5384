/*
 * Compares two versions of the contract, and finds the changes that break callers. The versions are OpenAPI documents or JSON Schemas of
 * messages. Texts and examples are ignored.
 *
 * A new version can accept more requests and return more fields, but not fewer. It can add error codes, because callers check the status
 * first.
 *
 * The comparison cannot prove that a changed pattern still matches everything. A `WiderPattern` declares this.
 */

/** A declaration that a changed pattern still matches everything that the former one matched. */
export interface WiderPattern {
  readonly before: string;
  readonly now: string;
  readonly because: string;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * A field of errors that the document no longer requires, although every response of the service has it. The
 * declaration names the check that shows that responses are unchanged.
 */
export interface LooserField {
  readonly field: string;
  readonly because: string;
}

const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const json = (value: unknown): Json => (isJson(value) ? value : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const names = (value: unknown): readonly string[] => list(value).map(String);
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Returns the target of a reference, or the value itself if it is not a reference. */
function resolve(document: Json, value: unknown): Json {
  const { $ref } = json(value);
  if (typeof $ref !== 'string') return json(value);
  const found = $ref
    .split('/')
    .slice(1)
    .reduce<unknown>((inner, key) => json(inner)[key.replaceAll('~1', '/').replaceAll('~0', '~')], document);
  if (!isJson(found)) throw new Error(`The reference ${$ref} has no target in the document.`);
  return resolve(document, found);
}

/* Schemas */

const MINIMA = ['minimum', 'minLength', 'minItems', 'minProperties'] as const;
const MAXIMA = ['maximum', 'maxLength', 'maxItems'] as const;
type Bounds<Name extends string> = Readonly<Partial<Record<Name, number>>>;

/** The set of values that a schema allows. */
interface Schema {
  /** Undefined allows any type. */
  readonly types: readonly string[] | undefined;
  /** The allowed values. Undefined allows any value. */
  readonly values: readonly unknown[] | undefined;
  readonly patterns: readonly string[];
  readonly format: unknown;
  readonly default: unknown;
  readonly atLeast: Bounds<(typeof MINIMA)[number]>;
  readonly atMost: Bounds<(typeof MAXIMA)[number]>;
  readonly required: readonly string[];
  readonly properties: Json;
  /** The schema of other properties, or false if they are not allowed. */
  readonly others: unknown;
  readonly items: unknown;
}

const KNOWN = new Set<string>([
  ...['$ref', 'allOf', 'anyOf', 'oneOf', 'type', 'enum', 'const', 'pattern', 'format', 'default', 'required'],
  ...['properties', 'propertyNames', 'additionalProperties', 'items', ...MINIMA, ...MAXIMA],
  // Keywords that do not restrict values.
  ...['description', 'example', 'examples', 'title'],
]);

function bounds<Name extends string>(schema: Json, of: readonly Name[]): Bounds<Name> {
  const found: Partial<Record<Name, number>> = {};
  for (const name of of) if (typeof schema[name] === 'number') found[name] = schema[name];
  return found;
}

/**
 * Converts a schema to alternatives. A value must match one of them. Each includes the references and `allOf` of the schema.
 *
 * @throws for an unknown keyword, because the comparison would ignore it
 */
function read(document: Json, value: unknown): readonly Schema[] {
  const schema = resolve(document, value);
  const unknown = Object.keys(schema).filter((keyword) => !KNOWN.has(keyword) && !keyword.startsWith('x-'));
  if (unknown.length > 0) throw new Error(`The comparison of contracts does not support "${unknown.join('", "')}".`);
  const { type, pattern } = schema;
  const own: Schema = {
    types: type === undefined ? undefined : Array.isArray(type) ? names(type) : [String(type)],
    values: 'const' in schema ? [schema.const] : schema.enum === undefined ? undefined : list(schema.enum),
    patterns: pattern === undefined ? [] : [String(pattern)],
    format: schema.format,
    default: schema.default,
    atLeast: bounds(schema, MINIMA),
    atMost: bounds(schema, MAXIMA),
    required: names(schema.required),
    properties: json(schema.properties),
    others: schema.additionalProperties,
    items: schema.items,
  };
  const choices = [...list(schema.anyOf), ...list(schema.oneOf)];
  const all = list(schema.allOf).map((part) => read(document, part));
  const parts = choices.length > 0 ? [...all, choices.flatMap((choice) => read(document, choice))] : all;
  return parts.reduce((before, part) => before.flatMap((a) => part.map((b) => both(a, b))), [own]);
}

const shared = <T>(a: readonly T[] | undefined, b: readonly T[] | undefined): readonly T[] | undefined =>
  a && b ? a.filter((one) => b.some((other) => same(one, other))) : (a ?? b);

/** Returns the intersection of two schemas. */
const both = (a: Schema, b: Schema): Schema => ({
  types: shared(a.types, b.types),
  values: shared(a.values, b.values),
  patterns: [...a.patterns, ...b.patterns],
  format: a.format ?? b.format,
  default: a.default ?? b.default,
  atLeast: { ...a.atLeast, ...b.atLeast },
  atMost: { ...a.atMost, ...b.atMost },
  required: [...new Set([...a.required, ...b.required])],
  properties: {
    ...a.properties,
    ...Object.fromEntries(
      Object.entries(b.properties).map(([name, schema]) => [name, allOf(a.properties[name], schema)]),
    ),
  },
  others: a.others ?? b.others,
  items: allOf(a.items, b.items),
});
const allOf = (a: unknown, b: unknown): unknown => (a === undefined || b === undefined ? (a ?? b) : { allOf: [a, b] });

/** The compared documents and the rules for the comparison. */
interface Comparison {
  readonly released: Json;
  readonly now: Json;
  /**
   * `request`: accepted values must still be accepted. `answer`: values must have been possible before. `failure`:
   * codes may be new.
   */
  readonly kind: 'request' | 'answer' | 'failure';
  readonly wider: readonly WiderPattern[];
  readonly looser: readonly LooserField[];
}

/** Returns the changes of a schema that break callers, each with its field. */
function schemaBreaks(how: Comparison, released: unknown, now: unknown, where: string): string[] {
  const [before, after] = [read(how.released, released), read(how.now, now)];
  // Every alternative must match one of the other document. If none matches, the differences from the closest one are returned.
  const [inner, outer] = how.kind === 'request' ? [before, after] : [after, before];
  return inner.flatMap((one) => {
    const tried = outer.map((other) =>
      how.kind === 'request' ? alternativeBreaks(how, one, other, where) : alternativeBreaks(how, other, one, where),
    );
    return tried.toSorted((a, b) => a.length - b.length)[0] ?? [];
  });
}

const isWider = ({ wider }: Comparison, pattern: string, other: string): boolean =>
  pattern === other || wider.some(({ before, now }) => before === other && now === pattern);

const shown = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));

function alternativeBreaks(how: Comparison, before: Schema, after: Schema, where: string): string[] {
  const [inner, outer] = how.kind === 'request' ? [before, after] : [after, before];
  const fits = (type: string) => outer.types?.includes(type) || (type === 'integer' && outer.types?.includes('number'));
  const lower = MINIMA.filter((name) => (inner.atLeast[name] ?? -Infinity) < (outer.atLeast[name] ?? -Infinity));
  const higher = MAXIMA.filter((name) => (inner.atMost[name] ?? Infinity) > (outer.atMost[name] ?? Infinity));
  const changed = [
    ...(outer.types && !inner.types?.every(fits) ? [['type', before.types, after.types] as const] : []),
    ...lower.map((name) => [name, before.atLeast[name], after.atLeast[name]] as const),
    ...higher.map((name) => [name, before.atMost[name], after.atMost[name]] as const),
    ...(outer.patterns.every((pattern) => inner.patterns.some((other) => isWider(how, pattern, other)))
      ? []
      : [['pattern', before.patterns, after.patterns] as const]),
    ...(outer.format === undefined || outer.format === inner.format
      ? []
      : [['format', before.format, after.format] as const]),
    ...(how.kind !== 'request' || same(before.default, after.default)
      ? []
      : [['default', before.default, after.default] as const]),
    ...((outer.items === undefined) === (inner.items === undefined) || outer.items === undefined
      ? []
      : [['items', before.items, after.items] as const]),
  ];
  return [
    ...changed.map(([what, was, is]) => `${where}: ${what} was ${shown(was)}, and is ${shown(is)}`),
    ...valueBreaks(how, before.values, after.values, where),
    ...fieldBreaks(how, before, after, where),
    ...(before.items === undefined || after.items === undefined
      ? []
      : schemaBreaks(how, before.items, after.items, `${where}[]`)),
  ];
}

function valueBreaks(
  { kind }: Comparison,
  before: readonly unknown[] | undefined,
  after: readonly unknown[] | undefined,
  where: string,
): string[] {
  const without = (all: readonly unknown[], others: readonly unknown[]) =>
    all.filter((one) => !others.some((other) => same(one, other)));
  const gone = before && after ? without(before, after) : [];
  const fresh = before && after ? without(after, before) : [];
  if (kind === 'request' && after && !before) return [`${where}: now accepts only ${after.map(shown)}`];
  if (kind === 'request') return gone.map((value) => `${where}: no longer accepts ${shown(value)}`);
  if (kind === 'failure') return gone.map((value) => `${where}: is no longer ${shown(value)}`);
  if (before && !after) return [`${where}: can be any value, and was one of ${before.map(shown)}`];
  return fresh.map((value) => `${where}: can now be ${shown(value)}`);
}

function fieldBreaks(how: Comparison, before: Schema, after: Schema, where: string): string[] {
  const request = how.kind === 'request';
  const at = (name: string) => `${where}.${name}`;
  const isNewly = (name: string) => after.required.includes(name) && !before.required.includes(name);
  const isNoLonger = (name: string) =>
    before.required.includes(name) &&
    !after.required.includes(name) &&
    name in after.properties &&
    !(how.kind === 'failure' && how.looser.some(({ field }) => field === name));
  return [
    ...Object.entries(before.properties).flatMap(([name, was]) => {
      const is = after.properties[name];
      if (is !== undefined) return schemaBreaks(how, was, is, at(name));
      if (request) return after.others === false ? [`${at(name)}: is no longer accepted`] : [];
      return [`${at(name)}: is gone`];
    }),
    ...(request ? after.required.filter(isNewly).map((name) => `${at(name)}: is required`) : []),
    ...(request ? [] : before.required.filter(isNoLonger).map((name) => `${at(name)}: may be missing`)),
    ...(request && after.others === false && before.others !== false ? [`${where}: accepts no other fields`] : []),
    ...(isJson(before.others) && isJson(after.others) ? schemaBreaks(how, before.others, after.others, at('*')) : []),
  ];
}

/* Operations */

const bodyOf = (document: Json, value: unknown): unknown =>
  json(json(resolve(document, value).content)['application/json']).schema;

function parameterBreaks(how: Comparison, released: Json, now: Json, where: string): string[] {
  const byName = (document: Json, operation: Json) =>
    new Map(
      list(operation.parameters).map((each) => {
        const parameter = resolve(document, each);
        const name = String(parameter.name);
        return [`${parameter.in} ${parameter.in === 'header' ? name.toLowerCase() : name}`, parameter] as const;
      }),
    );
  const [before, after] = [byName(how.released, released), byName(how.now, now)];
  return [
    ...[...before].flatMap(([name, parameter]) => {
      const is = after.get(name);
      if (is === undefined) return [`${where}: ${name} is no longer accepted`];
      return [
        ...(is.required === true && parameter.required !== true ? [`${where}: ${name} is required`] : []),
        ...schemaBreaks(how, parameter.schema, is.schema, `${where}: ${name}`),
      ];
    }),
    ...[...after].flatMap(([name, parameter]) =>
      !before.has(name) && parameter.required === true ? [`${where}: ${name} is required`] : [],
    ),
  ];
}

function requestBodyBreaks(how: Comparison, released: Json, now: Json, where: string): string[] {
  const [before, after] = [resolve(how.released, released.requestBody), resolve(how.now, now.requestBody)];
  const [was, is] = [bodyOf(how.released, before), bodyOf(how.now, after)];
  const required = after.required === true && before.required !== true ? [`${where}: a body is required`] : [];
  if (was === undefined) return required;
  if (is === undefined) return [`${where}: a body is no longer accepted`];
  return [...required, ...schemaBreaks(how, was, is, `${where}: body`)];
}

/** Returns the error codes of a response: from its `x-error-codes`, or in older documents from its schema. */
function errorCodes(document: Json, response: Json): readonly string[] {
  if (response['x-error-codes'] !== undefined) return names(response['x-error-codes']);
  return read(document, bodyOf(document, response) ?? {})
    .flatMap(({ properties }) => read(document, properties.errors ?? {}))
    .flatMap(({ items }) => read(document, items ?? {}))
    .flatMap(({ properties }) => read(document, properties.code ?? {}))
    .flatMap(({ values }) => names(values));
}

function codeBreaks({ released, now }: Comparison, before: Json, after: Json, where: string): string[] {
  const left = errorCodes(now, after);
  return errorCodes(released, before)
    .filter((code) => !left.includes(code))
    .map((code) => `${where}.errors[].code: is no longer ${shown(code)}`);
}

function answerBreaks(how: Comparison, before: Json, after: Json, where: string): string[] {
  const { released, now } = how;
  const isGood = (status: string) => status.startsWith('2');
  const statuses = [json(before.responses), json(after.responses)] as const;
  const changed = [...new Set(statuses.flatMap((each) => Object.keys(each)))].filter(isGood);
  return [
    ...changed.flatMap((status) => {
      if (!(status in statuses[1])) return [`${where}: ${status} is no longer returned`];
      return status in statuses[0] ? [] : [`${where}: can now return ${status}`];
    }),
    ...Object.entries(statuses[0]).flatMap(([status, response]) => {
      const is = statuses[1][status];
      if (is === undefined) return isGood(status) ? [] : [`${where}: ${status} is no longer returned as an error`];
      const kind = isGood(status) ? 'answer' : 'failure';
      const headers = Object.keys(json(resolve(released, response).headers));
      const left = json(resolve(now, is).headers);
      return [
        ...headers.filter((name) => !(name in left)).map((name) => `${where}: ${status}: header ${name} is gone`),
        ...(isGood(status)
          ? []
          : codeBreaks(how, resolve(released, response), resolve(now, is), `${where}: ${status}`)),
        ...schemaBreaks(
          { ...how, kind },
          bodyOf(released, response) ?? {},
          bodyOf(now, is) ?? {},
          `${where}: ${status}`,
        ),
      ];
    }),
  ];
}

/* Messages */

/**
 * Returns the kinds of messages in a JSON Schema, by name: its alternatives, which are identified by their constants
 * (an event of the bus by its `source` and `detail-type`), otherwise its definitions (see `socketSchema`).
 */
const messageKinds = (document: Json): ReadonlyMap<string, unknown> =>
  new Map(
    document.anyOf === undefined
      ? Object.entries(json(document.$defs))
      : list(document.anyOf).map((kind) => {
          const constants = Object.values(json(json(kind).properties)).map((property) => json(property).const);
          return [constants.filter((value) => value !== undefined).join(' '), kind];
        }),
  );

const directionOf = (name: string): Comparison['kind'] =>
  name.startsWith('frame.') ? 'request' : name.startsWith('refusal.') ? 'failure' : 'answer';

function messageBreaks(how: Comparison): string[] {
  const [before, after] = [messageKinds(how.released), messageKinds(how.now)];
  if (before.size === 0) throw new Error('The released document has no messages.');
  return [...before].flatMap(([name, was]) => {
    const is = after.get(name);
    return is === undefined ? [`${name} is gone`] : schemaBreaks({ ...how, kind: directionOf(name) }, was, is, name);
  });
}

/**
 * Returns the changes between a released document and another that break callers, one sentence each. Both are OpenAPI
 * documents, or JSON Schemas of messages.
 */
export function breaks(
  released: unknown,
  now: unknown,
  wider: readonly WiderPattern[] = [],
  looser: readonly LooserField[] = [],
): string[] {
  const [before, after] = [json(released), json(now)];
  const how: Comparison = { released: before, now: after, kind: 'request', wider, looser };
  if (before.paths === undefined) return messageBreaks(how);
  const operations = Object.entries(json(before.paths)).flatMap(([path, methods]) =>
    Object.entries(json(methods)).map(([method, operation]) => ({ path, method, operation: json(operation) })),
  );
  return [
    ...(same(before.security, after.security) ? [] : ['Callers must authenticate in another way']),
    ...operations.flatMap(({ path, method, operation }) => {
      const where = `${method.toUpperCase()} ${path}`;
      const is = json(json(after.paths)[path])[method];
      if (!isJson(is)) return [`${where} is gone`];
      return [
        ...(is.operationId === operation.operationId
          ? []
          : [
              `${where}: the operation ID was ${operation.operationId}, and is ${is.operationId}, which generated clients use as a name`,
            ]),
        ...(same(operation.security, is.security) ? [] : [`${where}: callers must authenticate in another way`]),
        ...parameterBreaks(how, operation, is, where),
        ...requestBodyBreaks(how, operation, is, where),
        ...answerBreaks(how, operation, is, where),
      ];
    }),
  ];
}

/**
 * Returns the step that the version must take. `major`: callers of the released document would break. `minor`:
 * something was added, so callers of the other document would break with the released one. Otherwise none.
 */
export function requiredStep(
  released: unknown,
  now: unknown,
  wider: readonly WiderPattern[] = [],
  looser: readonly LooserField[] = [],
): 'major' | 'minor' | 'none' {
  if (breaks(released, now, wider, looser).length > 0) return 'major';
  return breaks(now, released).length > 0 ? 'minor' : 'none';
}
