import {
  CopyObjectCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { objectKey } from '../../core/files/object-key.ts';
import { statusOf } from '../../core/platform/status-of.ts';

/*
 * Reads and restores the objects of files. The bucket is versioned: deleting an object adds a delete marker, and removing
 * the marker restores the object. An upload URL stores an object once, so it has at most one version.
 */

export interface Objects {
  readonly s3: S3Client;
  readonly bucket: string;
}

/** The current state of an object. `deleted`: there is a version below delete markers. `lost`: there is none. */
export type ObjectState =
  | { readonly state: 'there' }
  | { readonly state: 'deleted'; readonly markers: readonly string[] }
  | { readonly state: 'lost' };

/** Returns whether an error means that the object does not exist. Without the right to list the bucket, S3 returns 403 instead of 404. */
async function exists({ s3, bucket }: Objects, key: string): Promise<boolean> {
  try {
    await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    return true;
  } catch (error) {
    const status = statusOf(error);
    if (status === 404) return false;
    if (status === 403)
      throw new Error(
        `S3 does not return whether ${key} exists. The permissions s3:GetObject and s3:ListBucket for ${bucket} are required.`,
        {
          cause: error,
        },
      );
    throw error;
  }
}

/** Returns whether the object of a file exists, and otherwise whether it can be restored. */
export async function objectState(objects: Objects, room_id: string, file_id: string): Promise<ObjectState> {
  const Key = objectKey(room_id, file_id);
  if (await exists(objects, Key)) return { state: 'there' };
  // One page is enough: a file has few versions, and its key is rarely the prefix of another key.
  const { Versions = [], DeleteMarkers = [] } = await objects.s3.send(
    new ListObjectVersionsCommand({ Bucket: objects.bucket, Prefix: Key }),
  );
  if (!Versions.some((version) => version.Key === Key)) return { state: 'lost' };
  const markers = DeleteMarkers.filter((marker) => marker.Key === Key).flatMap(({ VersionId }) => VersionId ?? []);
  return { state: 'deleted', markers };
}

/**
 * Removes the delete markers that were found, but not later ones. Returns whether the object
 * exists now.
 */
export async function removeDeleteMarkers(
  objects: Objects,
  room_id: string,
  file_id: string,
  markers: readonly string[],
): Promise<boolean> {
  const Key = objectKey(room_id, file_id);
  for (const VersionId of markers)
    await objects.s3.send(new DeleteObjectCommand({ Bucket: objects.bucket, Key, VersionId }));
  return exists(objects, Key);
}

/** Copies an object from another bucket, unless it already exists. Returns whether it exists now. */
export async function copyFrom(objects: Objects, source: string, room_id: string, file_id: string): Promise<boolean> {
  const Key = objectKey(room_id, file_id);
  if (!(await exists({ ...objects, bucket: source }, Key))) return false;
  if (!(await exists(objects, Key)))
    await objects.s3.send(
      new CopyObjectCommand({ Bucket: objects.bucket, Key, CopySource: `${source}/${encodeURIComponent(Key)}` }),
    );
  return true;
}
