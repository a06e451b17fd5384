import * as v from 'valibot';

/** A stack of the cloud assembly: its template, and the location of its file assets on this machine. */
export interface StackTemplate {
  readonly name: string;
  readonly resources: Readonly<Record<string, Resource>>;
  readonly outputs: Readonly<Record<string, { readonly value: unknown; readonly exportName?: unknown }>>;
  /** Default values of the parameters, by name. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface Resource {
  readonly stack: string;
  /** The logical ID. */
  readonly id: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** The local counterpart of a resource: the values of Ref and Fn::GetAtt. */
export interface Physical {
  readonly ref: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The account and region of the local stack. */
export const ACCOUNT = '000000000000';
export const REGION = 'us-east-1';
/** The last part of every AWS::StackId. It is constant, so that values that depend on it stay the same after a restart with --data. */
const STACK_UUID = '01997d10-0000-7000-8000-000000000000';

const templateFile = v.object({
  Resources: v.record(
    v.string(),
    v.object({ Type: v.string(), Properties: v.optional(v.record(v.string(), v.unknown()), {}) }),
  ),
  Outputs: v.optional(
    v.record(v.string(), v.object({ Value: v.unknown(), Export: v.optional(v.object({ Name: v.unknown() })) })),
    {},
  ),
  Parameters: v.optional(v.record(v.string(), v.object({ Default: v.optional(v.unknown()) })), {}),
});

/**
 * Parses a CloudFormation template.
 *
 * @throws if the value is not a template
 */
export function readTemplate(name: string, json: unknown): StackTemplate {
  const template = v.parse(templateFile, json);
  return {
    name,
    resources: mapValues(template.Resources, ({ Type, Properties }, id) => ({
      stack: name,
      id,
      type: Type,
      properties: Properties,
    })),
    outputs: mapValues(template.Outputs, ({ Value, Export }) => ({ value: Value, exportName: Export?.Name })),
    parameters: mapValues(template.Parameters, ({ Default }) => Default),
  };
}

/**
 * Returns the resource with this physical id.
 *
 * @throws if the template has none
 */
export function found(resources: ReadonlyMap<string, Resource>, id: string): Resource {
  const resource = resources.get(id);
  if (!resource) throw new Error(`The template refers to the unknown resource ${id}.`);
  return resource;
}

export interface Resolver {
  /** Returns all resources of a type, in all stacks, in the order of the templates. */
  ofType(type: string): Resource[];
  /** Returns the properties of a resource that the schema names, with all intrinsic functions resolved. */
  read<const Entries extends v.ObjectEntries>(
    resource: Resource,
    schema: v.ObjectSchema<Entries, undefined>,
  ): v.InferOutput<v.ObjectSchema<Entries, undefined>>;
}

/** The value of AWS::NoValue. A property or list item with this value is omitted. */
const NO_VALUE = Symbol('AWS::NoValue');

type Scope = { readonly stack: StackTemplate; readonly path: string };

/**
 * Resolves what CloudFormation resolves at deployment: references within a stack and, by export or output name, between stacks.
 * Throws an error with the resource and the path for an intrinsic function or a reference that is not supported.
 *
 * @param physicalOf returns the local counterpart of a resource, or undefined if there is none. A property that is read must not
 *   refer to a resource without a counterpart. Properties that are not read can refer to any resource.
 */
export function createResolver(
  stacks: readonly StackTemplate[],
  physicalOf: (resource: Resource, resolver: Resolver) => Physical | undefined,
): Resolver {
  const fail = (scope: Scope, message: string): never => {
    throw new Error(`${scope.stack.name}/${scope.path}: ${message}`);
  };
  const below = (scope: Scope, key: string | number): Scope => ({ ...scope, path: `${scope.path}.${key}` });

  function resolve(value: unknown, scope: Scope): unknown {
    if (Array.isArray(value))
      return value.map((item, index) => resolve(item, below(scope, index))).filter((item) => item !== NO_VALUE);
    if (!isObject(value)) return value;
    const [[name, argument] = [], ...others] = Object.entries(value);
    if (name !== undefined && others.length === 0 && (name === 'Ref' || name.startsWith('Fn::')))
      return intrinsic(name, argument, below(scope, name));
    return Object.fromEntries(
      Object.entries(value)
        .map(([key, item]) => [key, resolve(item, below(scope, key))] as const)
        .filter(([, item]) => item !== NO_VALUE),
    );
  }

  function text(value: unknown, scope: Scope): string {
    const resolved = resolve(value, scope);
    if (typeof resolved === 'string') return resolved;
    if (typeof resolved === 'number' || typeof resolved === 'boolean') return String(resolved);
    return fail(scope, `a string is needed here, not ${JSON.stringify(resolved)}`);
  }

  function list(value: unknown, scope: Scope): unknown[] {
    const resolved = resolve(value, scope);
    return Array.isArray(resolved) ? resolved : fail(scope, `a list is needed here, not ${JSON.stringify(resolved)}`);
  }

  function intrinsic(name: string, argument: unknown, scope: Scope): unknown {
    const parts = Array.isArray(argument) ? argument : [];
    switch (name) {
      case 'Ref':
        return reference(text(argument, scope), scope);
      case 'Fn::GetAtt': {
        const [id, attribute] = typeof argument === 'string' ? splitOnce(argument) : parts.map(String);
        return getAtt(id ?? '', attribute ?? '', scope);
      }
      case 'Fn::Join':
        return list(parts[1], scope)
          .map((part, index) => text(part, below(scope, index)))
          .join(text(parts[0], scope));
      case 'Fn::Split':
        return text(parts[1], scope).split(text(parts[0], scope));
      case 'Fn::Select': {
        const index = Number(text(parts[0], scope));
        const items = list(parts[1], scope);
        return items[index] ?? fail(scope, `there is no item ${index} in a list of ${items.length}`);
      }
      case 'Fn::Sub':
        return typeof argument === 'string'
          ? substitute(argument, {}, scope)
          : substitute(text(parts[0], scope), isObject(parts[1]) ? parts[1] : {}, scope);
      case 'Fn::ImportValue':
        return imported(text(argument, scope), scope);
      case 'Fn::GetStackOutput': {
        const { StackName, OutputName } = isObject(argument) ? argument : {};
        return stackOutput(text(StackName, scope), text(OutputName, scope), scope);
      }
      default:
        return fail(scope, `the local stack does not support the function ${name}`);
    }
  }

  function reference(id: string, scope: Scope): unknown {
    switch (id) {
      case 'AWS::NoValue':
        return NO_VALUE;
      case 'AWS::AccountId':
        return ACCOUNT;
      case 'AWS::Region':
        return REGION;
      case 'AWS::Partition':
        return 'aws';
      case 'AWS::URLSuffix':
        return 'amazonaws.com';
      case 'AWS::StackName':
        return scope.stack.name;
      case 'AWS::StackId':
        return `arn:aws:cloudformation:${REGION}:${ACCOUNT}:stack/${scope.stack.name}/${STACK_UUID}`;
    }
    if (Object.hasOwn(scope.stack.parameters, id))
      return scope.stack.parameters[id] ?? fail(scope, `the parameter ${id} has no default value`);
    return physical(id, scope).ref;
  }

  function physical(id: string, scope: Scope): Physical {
    const resource = scope.stack.resources[id] ?? fail(scope, `there is no ${id} in this stack`);
    return (
      physicalOf(resource, resolver) ??
      fail(scope, `refers to ${id} (${resource.type}), which has no counterpart in the local stack`)
    );
  }

  function getAtt(id: string, attribute: string, scope: Scope): string {
    return (
      physical(id, scope).attributes[attribute] ??
      fail(scope, `the local stack does not support the attribute ${attribute} of ${id}`)
    );
  }

  function substitute(template: string, variables: Record<string, unknown>, scope: Scope): string {
    return template.replace(/\$\{(!?)([^}]+)\}/g, (_match, literal: string, name: string) => {
      if (literal) return `\${${name}}`;
      if (Object.hasOwn(variables, name)) return text(variables[name], below(scope, name));
      if (name.includes('.') && !name.startsWith('AWS::')) {
        const [id, attribute] = splitOnce(name);
        return getAtt(id, attribute, scope);
      }
      return text({ Ref: name }, scope);
    });
  }

  function imported(exportName: string, scope: Scope): unknown {
    for (const stack of stacks)
      for (const [id, output] of Object.entries(stack.outputs)) {
        const at: Scope = { stack, path: `Outputs.${id}` };
        if (output.exportName !== undefined && text(output.exportName, at) === exportName)
          return resolve(output.value, at);
      }
    return fail(scope, `no stack exports ${exportName}`);
  }

  function stackOutput(stackName: string, outputName: string, scope: Scope): unknown {
    const stack = stacks.find(({ name }) => name === stackName);
    const output = stack?.outputs[outputName];
    if (!stack || !output) return fail(scope, `there is no stack ${stackName} with an output ${outputName}`);
    return resolve(output.value, { stack, path: `Outputs.${outputName}` });
  }

  const resolver: Resolver = {
    ofType: (type) =>
      stacks.flatMap((stack) => Object.values(stack.resources).filter((resource) => resource.type === type)),
    read(resource, schema) {
      const stack = stacks.find(({ name }) => name === resource.stack);
      if (!stack) throw new Error(`There is no stack ${resource.stack}.`);
      const named = Object.fromEntries(
        Object.keys(schema.entries)
          .filter((key) => Object.hasOwn(resource.properties, key))
          .map((key) => [key, resource.properties[key]]),
      );
      const resolved = resolve(named, { stack, path: resource.id });
      const result = v.safeParse(schema, resolved);
      if (result.success) return result.output;
      const faults = result.issues.map((issue) => `${v.getDotPath(issue) ?? ''} ${issue.message}`.trim());
      throw new Error(`${resource.stack}/${resource.id} (${resource.type}): ${faults.join('; ')}`);
    },
  };
  return resolver;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Splits at the first dot, because only the name of the attribute can contain dots. */
function splitOnce(name: string): [string, string] {
  const dot = name.indexOf('.');
  return dot < 0 ? [name, ''] : [name.slice(0, dot), name.slice(dot + 1)];
}

const mapValues = <Value, Result>(
  record: Readonly<Record<string, Value>>,
  map: (value: Value, key: string) => Result,
): Record<string, Result> => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]));
