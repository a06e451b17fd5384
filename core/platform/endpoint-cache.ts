/**
 * Replaces `@aws-sdk/endpoint-cache` in the bundles (see lib/bundle.ts). The DynamoDB client creates a cache, but uses
 * it only for endpoint discovery, which only Timestream needs. The package depends on a library of data structures.
 */
export class EndpointCache {}
