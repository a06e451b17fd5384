import { allRoutes } from '../../../core/contract/index.ts';
import { openapi } from '../openapi.ts';
import type { Operation } from '../openapi-document.ts';
import { code, count, jsonBlock, page, table } from './markdown.ts';

/*
 * Generates a Markdown page on the HTTP API from the OpenAPI document.
 */

type Json = Readonly<Record<string, unknown>>;

const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const json = (value: unknown): Json => (isJson(value) ? value : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const document = openapi(allRoutes);

const schemaNameOf = ({ $ref }: Json): string | undefined =>
  typeof $ref === 'string' ? $ref.replace('#/components/schemas/', '') : undefined;
const resolved = (schema: Json): Json => {
  const name = schemaNameOf(schema);
  return name === undefined ? schema : json(document.components.schemas[name]);
};
const link = (name: string): string => `[${name}](#${name.toLowerCase()})`;

const FORMATS: Readonly<Record<string, string>> = { uuid: 'UUID', 'date-time': 'time', uri: 'URL' };

function typeOf(schema: Json): string {
  const name = schemaNameOf(schema);
  if (name !== undefined) return link(name);
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => code(JSON.stringify(value))).join(', ');
  const choices = list(schema.anyOf ?? schema.oneOf).map(json);
  if (choices.length > 0) return choices.map(typeOf).join(' or ');
  const types = list([schema.type].flat());
  const named = types.map((type) =>
    type === 'null' ? code('null') : (FORMATS[String(schema.format)] ?? String(type)),
  );
  if (types.includes('array')) return `array of ${typeOf(json(schema.items))}${between(schema, 'Items', 'items')}`;
  return `${named.join(' or ')}${between(schema, 'Length', 'characters')}${range(schema)}`;
}

function between(schema: Json, what: 'Items' | 'Length', unit: string): string {
  const [min, max] = [schema[`min${what}`], schema[`max${what}`]];
  if (typeof max !== 'number') return '';
  return typeof min === 'number' && min > 0 ? `, ${min} to ${count(max)} ${unit}` : `, at most ${count(max)} ${unit}`;
}

const range = ({ minimum, maximum }: Json): string =>
  typeof minimum === 'number' && typeof maximum === 'number' && maximum < Number.MAX_SAFE_INTEGER
    ? `, ${count(minimum)} to ${count(maximum)}`
    : '';

function fieldTable(schema: Json): string {
  const required = list(schema.required);
  return table(
    ['Field', 'Type', 'Description'],
    Object.entries(json(schema.properties)).map(([name, property]) => [
      `${code(name)}${required.includes(name) ? '' : ' (optional)'}`,
      typeOf(json(property)),
      String(json(property).description ?? resolved(json(property)).description ?? ''),
    ]),
  );
}

const contentOf = (value: unknown): Json => json(json(json(value).content)['application/json']);

function requestParts({ parameters = [], requestBody }: Operation): string[] {
  const body = contentOf(requestBody);
  const bodyName = schemaNameOf(json(body.schema));
  const examples = Object.values(json(body.examples)).map(json);
  return [
    ...(parameters.length > 0
      ? [
          table(
            ['Parameter', 'In', 'Type', 'Description'],
            parameters.map(({ name, in: where, required, schema, description }) => [
              `${code(String(name))}${required === true ? '' : ' (optional)'}`,
              String(where),
              `${typeOf(json(schema))}${json(schema).default === undefined ? '' : `, default ${code(String(json(schema).default))}`}`,
              String(description ?? ''),
            ]),
          ),
        ]
      : []),
    ...(bodyName === undefined
      ? []
      : [
          `Body: ${link(bodyName)}${json(requestBody).required === true ? '' : ' (optional)'}`,
          ...examples.flatMap(({ summary, value }) => [`${String(summary)}:`, jsonBlock(value)]),
        ]),
  ];
}

function responseParts({ responses }: Operation): string[] {
  const entries = Object.entries(responses);
  const success = entries.find(([status]) => status.startsWith('2'));
  const failures = entries.filter(([status]) => !status.startsWith('2'));
  const content = contentOf(success?.[1]);
  return [
    `Response: ${success?.[0]} ${link(schemaNameOf(json(content.schema)) ?? '')}`,
    jsonBlock(content.example),
    `Errors: ${failures
      .map(
        ([status, response]) =>
          `${status} ${list(response['x-error-codes'])
            .map((each) => code(String(each)))
            .join(', ')}`,
      )
      .join('; ')}`,
  ];
}

function operationParts(path: string, method: string, operation: Operation): string[] {
  return [
    `### ${operation.summary}`,
    `**${code(`${method.toUpperCase()} ${path}`)}** (operation ${code(operation.operationId)})`,
    operation.description,
    ...requestParts(operation),
    ...responseParts(operation),
  ];
}

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

function schemaParts(name: string, schema: Json): string[] {
  const choices = list(schema.oneOf).map(json);
  const codes = list(schema['x-extensible-enum']);
  return [
    `### ${name}`,
    ...(schema.description === undefined ? [] : [String(schema.description)]),
    ...(choices.length > 0 ? [`One of: ${choices.map(typeOf).join(', ')}`] : []),
    ...(Array.isArray(schema.enum)
      ? [`One of: ${schema.enum.map((value) => code(JSON.stringify(value))).join(', ')}`]
      : []),
    ...(codes.length > 0 ? ['See [errors](errors.md).'] : []),
    ...(isJson(schema.properties) ? [fieldTable(schema)] : []),
  ];
}

const TITLES = document.tags.map(({ name, description }) => ({ name: String(name), description: String(description) }));

/** Returns docs/reference/http.md. */
export const httpPage = (): string =>
  page(
    '# HTTP API reference',
    'For developers of clients that call the HTTP API. Generate a client from the [OpenAPI 3.1](../openapi.json) or [3.0](../openapi-3.0.json) document, or use the ' +
      '[client SDK](../../client/README.md). [Call the API](../guides/call-the-api.md) is a tutorial.',
    // The error table is on a separate page.
    String(document.info.description)
      .replace(/^\| .*\n?/gm, (line) => (line.includes('| Status |') || /^\| \d{3} \|/.test(line) ? '' : line))
      .replace(/^\|---\|---\|---\|\n/m, 'The page [errors](errors.md) explains every code.\n')
      .replace(/^### /gm, '## '),
    '## Operations',
    table(
      ['Operation', 'Method and path', 'For'],
      operations.map(({ path, method, operation }) => [
        `[${operation.summary}](#${operation.summary
          .toLowerCase()
          .replaceAll(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-')})`,
        code(`${method.toUpperCase()} ${path}`),
        String(operation.tags[0]).toLowerCase(),
      ]),
    ),
    ...TITLES.flatMap(({ name, description }) => [
      `## ${name}`,
      description,
      ...operations
        .filter(({ operation }) => operation.tags.includes(name))
        .flatMap(({ path, method, operation }) => operationParts(path, method, operation)),
    ]),
    '## Schemas',
    ...Object.entries(document.components.schemas).flatMap(([name, schema]) => schemaParts(name, json(schema))),
  );
