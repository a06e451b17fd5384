import type { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { at, ofType, synthesize } from './synthesize.ts';

/*
 * The settings `restoredTable` and `restoredBucket`: see docs/decisions/0040-restored-table-by-setting.md.
 */

const TABLE = 'arn:aws:dynamodb:eu-central-1:123456789012:table/rooms-restored';
const STREAM = `${TABLE}/stream/2026-11-27T03:14:15.926`;
const BUCKET = 'rooms-restored-files';

const own = synthesize('prod');
const restored = synthesize('prod', { restoredTable: STREAM, restoredBucket: BUCKET });

type Outputs = Record<string, { Value: unknown; Export?: { Name: string } }>;
const outputsOf = (template: Template): Outputs => template.toJSON().Outputs;
const exportsOf = (template: Template) =>
  Object.fromEntries(
    Object.values(outputsOf(template)).flatMap(({ Value, Export }) => (Export ? [[Export.Name, Value]] : [])),
  );
const importsOf = (template: Template | undefined): string[] =>
  [...JSON.stringify(template?.toJSON()).matchAll(/"Fn::ImportValue":"([^"]+)"/g)].map(([, name = '']) => name);
const resourcesOf = (template: Template) =>
  Object.fromEntries(
    Object.entries(template.toJSON().Resources as Record<string, { Type: string }>).map(([id, { Type }]) => [id, Type]),
  );
const consumers = (stacks: typeof own) => [stacks.http, stacks.realtime, stacks.monitoring];

describe('with a restored table and bucket', () => {
  test('the data stack does not change', () => {
    expect(restored.data.toJSON()).toEqual(own.data.toJSON());
  });

  test('the real-time stack outputs the table and bucket in use', () => {
    restored.realtime.hasOutput('TableName', { Value: 'rooms-restored' });
    restored.realtime.hasOutput('BucketName', { Value: BUCKET });
    expect(outputsOf(own.realtime).TableName?.Value).toEqual({
      'Fn::ImportValue': expect.stringContaining('RoomsTable'),
    });
  });

  // CloudFormation cannot change or remove an export that another stack imports. The data stack is deployed first, also
  // when the setting is removed again.
  test('the data stack keeps all exports that another stack may import', () => {
    expect(exportsOf(restored.data)).toEqual(exportsOf(own.data));
    const imported = consumers(own)
      .flatMap(importsOf)
      .filter((name) => name.startsWith('rooms-prod-data:'));
    expect(imported).not.toEqual([]);
    for (const name of imported) expect(exportsOf(restored.data)).toHaveProperty([name]);
  });

  test('no other stack imports or contains the old table or bucket', () => {
    for (const template of consumers(restored)) {
      expect(importsOf(template).filter((name) => /RoomsTable|FilesBucket/.test(name))).toEqual([]);
      expect(JSON.stringify(template?.toJSON())).not.toMatch(/RoomsTable|FilesBucket/);
    }
  });

  test('every function, policy, event source and metric uses the restored ones instead', () => {
    for (const template of [restored.http, restored.realtime]) {
      const variables = [...ofType(template, 'AWS::Lambda::Function').values()].map(
        (fn) => Object(fn).Environment?.Variables ?? {},
      );
      const tables = variables.flatMap(({ TABLE_NAME }) => TABLE_NAME ?? []);
      expect(tables.length).toBeGreaterThan(8);
      expect(new Set(tables)).toEqual(new Set(['rooms-restored']));
      expect(new Set(variables.flatMap(({ BUCKET_NAME }) => BUCKET_NAME ?? []))).toEqual(new Set([BUCKET]));
      const policies = JSON.stringify([...ofType(template, 'AWS::IAM::Role').values()]);
      expect(policies).toContain(`"${TABLE}"`);
      expect(policies).toContain(`:s3:::${BUCKET}/rooms/*`);
    }
    const sources = [...ofType(restored.realtime, 'AWS::Lambda::EventSourceMapping').values()];
    expect(sources.filter((source) => at(source, 'EventSourceArn') === STREAM)).toHaveLength(2);
    expect(JSON.stringify(restored.monitoring?.toJSON())).toContain('rooms-restored');
  });

  test('no logical ID changes, so that the APIs keep their addresses', () => {
    for (const name of ['http', 'realtime'] as const)
      expect(resourcesOf(restored[name])).toEqual(resourcesOf(own[name]));
    expect(ofType(restored.http, 'AWS::ApiGatewayV2::Api')).toEqual(ofType(own.http, 'AWS::ApiGatewayV2::Api'));
    expect(ofType(restored.realtime, 'AWS::ApiGatewayV2::Api')).toEqual(ofType(own.realtime, 'AWS::ApiGatewayV2::Api'));
  });
});
