// biome-ignore-all lint/suspicious/noTemplateCurlyInString: CloudFormation marks its variables like this.
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { createResolver, type Physical, type Resource, readTemplate } from '../../../local/cloudformation/template.ts';

const data = readTemplate('data', {
  Resources: {
    Table: { Type: 'Test::Table', Properties: { TableName: { 'Fn::Sub': '${AWS::StackName}-table' } } },
    Role: { Type: 'Test::Role' },
  },
  Outputs: {
    Exported: { Value: { Ref: 'Table' }, Export: { Name: { 'Fn::Join': [':', ['data', 'table']] } } },
    Plain: { Value: { 'Fn::GetAtt': ['Table', 'Arn'] } },
  },
});

const physicalOf = ({ type, id, stack }: Resource): Physical | undefined =>
  type === 'Test::Table'
    ? { ref: `${stack}/${id}`, attributes: { Arn: `arn:${id}`, 'Stream.Arn': `arn:${id}/stream` } }
    : undefined;

/** Resolves a property of a resource in a stack next to the stack `data`. */
function resolve(value: unknown): unknown {
  const app = readTemplate('app', {
    Resources: { Thing: { Type: 'Test::Thing', Properties: { Value: value } }, Own: { Type: 'Test::Table' } },
    Parameters: { Size: { Default: 'small' }, Needed: {} },
  });
  const resolver = createResolver([data, app], physicalOf);
  const [thing] = resolver.ofType('Test::Thing');
  if (!thing) throw new Error('no Thing');
  return resolver.read(thing, v.object({ Value: v.unknown() })).Value;
}

describe('the resolver', () => {
  test.each<[string, unknown, unknown]>([
    ['a plain value', { a: [1, true, null, 'x'] }, { a: [1, true, null, 'x'] }],
    ['Ref of a resource', { Ref: 'Own' }, 'app/Own'],
    ['Ref of a parameter', { Ref: 'Size' }, 'small'],
    ['Ref of the account', { Ref: 'AWS::AccountId' }, '000000000000'],
    ['GetAtt as a list', { 'Fn::GetAtt': ['Own', 'Arn'] }, 'arn:Own'],
    ['GetAtt as text, of an attribute with a dot', { 'Fn::GetAtt': 'Own.Stream.Arn' }, 'arn:Own/stream'],
    ['Join', { 'Fn::Join': ['', ['a', { Ref: 'Own' }, 1]] }, 'aapp/Own1'],
    ['Split and Select', { 'Fn::Select': [1, { 'Fn::Split': ['/', { Ref: 'Own' }] }] }, 'Own'],
    ['Select with an index in text', { 'Fn::Select': ['0', ['a', 'b']] }, 'a'],
    ['Sub', { 'Fn::Sub': 'a ${Own} ${Own.Arn} ${AWS::Region} ${!Literal}' }, 'a app/Own arn:Own us-east-1 ${Literal}'],
    ['Sub with variables', { 'Fn::Sub': ['${a}-${Own}', { a: { Ref: 'Size' } }] }, 'small-app/Own'],
    ['ImportValue', { 'Fn::ImportValue': 'data:table' }, 'data/Table'],
    ['GetStackOutput', { 'Fn::GetStackOutput': { StackName: 'data', OutputName: 'Plain' } }, 'arn:Table'],
    ['NoValue in an object and a list', { a: { Ref: 'AWS::NoValue' }, b: [1, { Ref: 'AWS::NoValue' }] }, { b: [1] }],
    ['an object that only looks like a function', { Ref: 'Own', Other: 1 }, { Ref: 'Own', Other: 1 }],
  ])('resolves %s', (_what, value, expected) => {
    expect(resolve(value)).toEqual(expected);
  });

  test('resolves exports of another stack in the scope of that stack', () => {
    const resolver = createResolver([data], physicalOf);
    const [table] = resolver.ofType('Test::Table');
    if (!table) throw new Error('no Table');
    expect(resolver.read(table, v.object({ TableName: v.string() }))).toEqual({ TableName: 'data-table' });
  });

  test.each<[string, unknown, string]>([
    [
      'a resource that does not exist',
      { a: [{ Ref: 'Nobody' }] },
      'app/Thing.Value.a.0.Ref: there is no Nobody in this stack',
    ],
    [
      'a resource without a counterpart',
      { 'Fn::Sub': '${Thing}' },
      'app/Thing.Value.Fn::Sub.Ref: refers to Thing (Test::Thing), which has no counterpart in the local stack',
    ],
    ['an unknown attribute', { 'Fn::GetAtt': ['Own', 'Name'] }, 'does not support the attribute Name of Own'],
    ['an unknown export', { 'Fn::ImportValue': 'nothing' }, 'no stack exports nothing'],
    [
      'an unknown output',
      { 'Fn::GetStackOutput': { StackName: 'data', OutputName: 'No' } },
      'no stack data with an output No',
    ],
    ['an unknown function', { 'Fn::Transform': {} }, 'does not support the function Fn::Transform'],
    ['a parameter without a default', { Ref: 'Needed' }, 'the parameter Needed has no default value'],
    ['an index beyond the end', { 'Fn::Select': [2, ['a']] }, 'there is no item 2 in a list of 1'],
    ['an object where text is needed', { 'Fn::Join': ['', [{ a: 1 }]] }, 'a string is needed here'],
  ])('reports what it cannot resolve: %s', (_what, value, message) => {
    expect(() => resolve(value)).toThrow(message);
  });

  test('resolves only what is requested', () => {
    const stack = readTemplate('app', {
      Resources: {
        Role: { Type: 'Test::Role' },
        Thing: { Type: 'Test::Thing', Properties: { Name: 'x', Role: { 'Fn::GetAtt': ['Role', 'Arn'] } } },
      },
    });
    const resolver = createResolver([stack], physicalOf);
    const [thing] = resolver.ofType('Test::Thing');
    if (!thing) throw new Error('no Thing');
    expect(resolver.read(thing, v.object({ Name: v.string() }))).toEqual({ Name: 'x' });
    expect(() => resolver.read(thing, v.object({ Role: v.string() }))).toThrow('app/Thing.Role.Fn::GetAtt');
    expect(() => resolver.read(thing, v.object({ Name: v.number() }))).toThrow('app/Thing (Test::Thing): Name');
  });
});
