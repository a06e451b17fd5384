/** Returns the key of a file in the bucket. No part of it comes from a caller. */
export const objectKey = (room_id: string, file_id: string): string => `rooms/${room_id}/${file_id}`;
