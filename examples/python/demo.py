"""Creates a room, adds participants, lists rooms page by page, and uploads a file, with a generated client.

Usage: ROOMS_URL=http://127.0.0.1:4000 ROOMS_TOKEN=... python demo.py
"""

import os
import uuid
from http import HTTPStatus

import httpx
from rooms_client import AuthenticatedClient
from rooms_client.api.admin import add_participants, end_room
from rooms_client.api.participant import create_upload, list_rooms
from rooms_client.api.unrestricted import create_room
from rooms_client.models import AddParticipantsBody, CreateRoomBody, EndRoomBody, Error, MyRoom, RoomStatus
from rooms_client.types import UNSET


class RoomsError(Exception):
    """A failure of the service, with its stable code if it has one."""

    def __init__(self, error: Error | None):
        self.code = error.errors[0].code if error and error.errors else None
        super().__init__(error.message if error else "The response has an undocumented status.")


def checked(result):
    """Returns a successful result, and raises RoomsError for all others."""
    if result is None or isinstance(result, Error):
        raise RoomsError(result)
    return result


def all_rooms(client: AuthenticatedClient) -> list[MyRoom]:
    """Reads all pages of the caller's rooms."""
    rooms, cursor = [], UNSET
    while cursor is not None:
        page = checked(list_rooms.sync(client=client, limit=2, cursor=cursor))
        rooms += page.data
        cursor = page.page.next_cursor
    return rooms


def main() -> None:
    client = AuthenticatedClient(base_url=os.environ["ROOMS_URL"], token=os.environ["ROOMS_TOKEN"])

    # The same key for every retry creates one room.
    key = str(uuid.uuid4())
    body = CreateRoomBody(name="Night shift")
    room = checked(create_room.sync(client=client, body=body, idempotency_key=key)).data
    again = checked(create_room.sync(client=client, body=body, idempotency_key=key)).data
    assert again.room_id == room.room_id
    print(f"created {room.name}: {room.status.value}")

    added = checked(
        add_participants.sync(room.room_id, client=client, body=AddParticipantsBody(participant_ids=["bob", "carol"]))
    )
    print("added", ", ".join(participant.participant_id for participant in added.data))

    for name in ("Day shift", "Late shift"):
        checked(create_room.sync(client=client, body=CreateRoomBody(name=name)))
    rooms = all_rooms(client)
    print("listed", ", ".join(sorted(each.name for each in rooms)))

    content = b"Pressure: 4.2 bar"
    upload = checked(
        create_upload.sync(room.room_id, client=client, name="gauge.txt", size=len(content), content_type="text/plain")
    ).data
    stored = httpx.request(
        upload.method, upload.upload_url, content=content, headers=upload.headers.additional_properties
    )
    assert stored.status_code == HTTPStatus.OK, stored.text
    print("uploaded gauge.txt")

    ended = checked(end_room.sync(room.room_id, client=client, body=EndRoomBody(reason="Shift is over"))).data
    assert ended.status == RoomStatus.ENDED
    try:
        checked(
            add_participants.sync(room.room_id, client=client, body=AddParticipantsBody(participant_ids=["dave"]))
        )
    except RoomsError as error:
        print("refused:", error.code)


if __name__ == "__main__":
    main()
