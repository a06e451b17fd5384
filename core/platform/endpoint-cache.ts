/**
 * Stands in for `@aws-sdk/endpoint-cache` in the bundles (see lib/bundle.ts). The DynamoDB client makes one, and asks it only
 * where endpoint discovery is switched on, which is for Timestream; the package brings a library of data structures along.
 */
export class EndpointCache {}
