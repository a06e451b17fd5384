/** The key of a file in the bucket; nothing in it was chosen by a caller. */
export const objectKey = (room_id: string, file_id: string): string => `rooms/${room_id}/${file_id}`;
