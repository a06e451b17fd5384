/*
 * Replaces `@smithy/core/event-streams` in the bundles (see lib/bundle.ts). The SDK imports that package dynamically
 * for operations that stream events, which this project does not call. esbuild would keep it in every bundle, with all
 * its dependencies.
 */

export class EventStreamSerde {
  constructor() {
    throw new Error('The bundles have no event streams: see lib/bundle.ts.');
  }
}

export const eventStreamSerdeProvider = (): EventStreamSerde => new EventStreamSerde();

/** The S3 client calls this when it is created, for SelectObjectContent, which this project does not use. */
export const resolveEventStreamSerdeConfig = <Config>(config: Config): Config => config;
