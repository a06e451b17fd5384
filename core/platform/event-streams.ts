/*
 * Stands in for `@smithy/core/event-streams` in the bundles (see lib/bundle.ts). No operation that we call streams events. The
 * SDK imports the package when one does, so it would be in every bundle, and with it all that esbuild then cannot leave out
 * because it might be asked for at run time.
 */

export class EventStreamSerde {
  constructor() {
    throw new Error('The bundles have no event streams: see lib/bundle.ts.');
  }
}

export const eventStreamSerdeProvider = (): EventStreamSerde => new EventStreamSerde();

/** The S3 client asks for this when it is made, for an operation (SelectObjectContent) that is not ours. */
export const resolveEventStreamSerdeConfig = <Config>(config: Config): Config => config;
