/** A client of AWS's SDK, as far as this needs to know it. */
interface Client {
  readonly config: { readonly requestHandler: object };
}

/**
 * Takes a client's time limits away. Hundreds of requests at once take an emulator on a busy machine longer than AWS ever takes:
 * one that is given up and sent again then looks like a fault, and is counted twice. Tests of the limits themselves do without.
 */
export function patient({ config: { requestHandler } }: Client): void {
  if (!('updateHttpClientConfig' in requestHandler && typeof requestHandler.updateHttpClientConfig === 'function'))
    throw new Error('The SDK no longer lets its time limits be changed.');
  for (const limit of ['connectionTimeout', 'requestTimeout', 'socketTimeout'])
    requestHandler.updateHttpClientConfig(limit, 60_000);
}
