import type { AwsCredentialIdentity } from '@aws-sdk/types';

/**
 * Replaces `@aws-sdk/credential-provider-node` in the bundles (see lib/bundle.ts). A Lambda function's credentials are
 * always in its environment. The default chain would add SSO, STS and IMDS clients, about 130 KB to parse at every cold
 * start.
 */
export const defaultProvider = () => async (): Promise<AwsCredentialIdentity> => {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY)
    throw new Error('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set in the environment.');
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    ...(AWS_SESSION_TOKEN && { sessionToken: AWS_SESSION_TOKEN }),
  };
};
