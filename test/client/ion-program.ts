import * as Ion from 'ion-sdk-js/lib/connector/index.js';

/*
 * The example program of the UCS page "Client SDK", without audio and video. Tests compile it against the types of ion-sdk-js.
 * Then they replace its import by `@rooms/client/ion`, compile it again, and run it.
 */

/** A file, as the upload API of UCS and Rooms describes it. */
export interface UploadedFile {
  readonly file_id: string;
  readonly name: string;
  readonly size: number;
  readonly content_type: string;
}

export interface Page {
  showMessage(name: string, text: string, attachment: UploadedFile | undefined): void;
  showOnline(uid: string): void;
  showOffline(uid: string): void;
  showRoom(name: string): void;
  showClosed(reason: string): void;
}

export async function openChat(
  page: Page,
  { url, accessToken, sid, uid }: { url: string; accessToken: string; sid: string; uid: string },
) {
  const connector = new Ion.Connector(url, accessToken);
  connector.onopen = (service: Ion.Service) => console.log(`${service.name} is connected`);
  connector.onclose = (service: Ion.Service) => console.log(`${service.name} is disconnected`);
  const room = new Ion.Room(connector);

  // The types of the Ion SDK name the field `payload`, but its code sets `data`.
  room.onmessage = ({ data }: Ion.Message & { data?: Uint8Array }) => {
    const text = String.fromCharCode(...(data ?? []));
    const { msg } = JSON.parse(text);
    page.showMessage(msg.name, msg.text, msg.attachment);
  };
  room.onpeerevent = ({ state, peer }: Ion.PeerEvent) => {
    if (state === Ion.PeerState.JOIN) page.showOnline(peer.uid);
    if (state === Ion.PeerState.LEAVE) page.showOffline(peer.uid);
  };
  room.onroominfo = ({ name }: Ion.RoomInfo) => page.showRoom(name);
  room.ondisconnect = ({ reason }: Ion.Disconnect) => page.showClosed(reason);

  const joined: Ion.JoinResult | undefined = await room.join(
    {
      sid,
      uid,
      displayname: 'Alice',
      extrainfo: '',
      destination: 'webrtc://ion/peer1',
      role: Ion.Role.HOST,
      protocol: Ion.Protocol.WEBRTC,
      avatar: '',
      direction: Ion.Direction.BILATERAL,
      vendor: '',
    },
    undefined,
  );
  if (!joined?.success) throw new Error(joined?.error.reason);

  return {
    async send(text: string, attachment?: UploadedFile): Promise<void> {
      const data = new Map<string, unknown>();
      data.set('msg', { uid, name: 'Alice', text, attachment, mime_type: 'message' });
      await room.message(sid, uid, 'all', 'Map', data);
    },
    async leave(): Promise<void> {
      await room.leave(sid, uid);
      connector.close();
    },
  };
}
