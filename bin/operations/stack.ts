import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { UsageError } from '../../tools/cli/usage-error.ts';

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

/** The names of the SDK's errors for missing credentials or a missing region. */
const MISSING_CREDENTIALS = /^(Region is missing|Could not load credentials)/;

/** Returns an output of a stack by its name. */
export interface Outputs {
  /** Returns the function's result, or throws a UsageError if the output does not exist. */
  (name: string): string;
  has(name: string): boolean;
}

/**
 * Reads a deployed stack, and returns a function that returns its outputs.
 *
 * @throws UsageError if credentials or the region are missing, or the stack does not exist. The function throws if an output does
 *   not exist, because the stack was deployed by an earlier release
 */
export async function outputsOf(stack: string): Promise<Outputs> {
  const { Stacks: [found] = [] } = await new CloudFormationClient()
    .send(new DescribeStacksCommand({ StackName: stack }))
    .catch((error: unknown) => {
      if (error instanceof Error && MISSING_CREDENTIALS.test(error.message))
        throw new UsageError(
          `${error.message}: set AWS_REGION and AWS_PROFILE, or other credentials, for the account of ${stack}.`,
        );
      if (nameOf(error) !== 'ValidationError') throw error;
      throw new UsageError(`There is no stack ${stack} in this account and region.`);
    });
  const outputs = new Map(found?.Outputs?.map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue]));
  const output = (name: string): string => {
    const value = outputs.get(name);
    if (value === undefined) throw new UsageError(`${stack} has no output ${name}. Deploy this release first.`);
    return value;
  };
  return Object.assign(output, { has: (name: string) => outputs.get(name) !== undefined });
}
