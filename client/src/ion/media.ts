const NO_MEDIA =
  'Rooms has no audio or video. Keep your media server, and import RTC, LocalStream and RemoteStream from ion-sdk-js.';

/** Not part of Rooms: the constructor throws an error that describes the alternative. */
export class RTC {
  constructor(..._args: readonly unknown[]) {
    throw new Error(NO_MEDIA);
  }
}

/** Not part of Rooms: every call throws an error that describes the alternative. */
export class LocalStream {
  constructor(..._args: readonly unknown[]) {
    throw new Error(NO_MEDIA);
  }
  static getUserMedia(..._args: readonly unknown[]): Promise<never> {
    throw new Error(NO_MEDIA);
  }
  static getDisplayMedia(..._args: readonly unknown[]): Promise<never> {
    throw new Error(NO_MEDIA);
  }
}

/** Not part of Rooms: the constructor throws an error that describes the alternative. */
export class RemoteStream {
  constructor(..._args: readonly unknown[]) {
    throw new Error(NO_MEDIA);
  }
}
