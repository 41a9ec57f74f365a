import type { Digest } from '#oci/digest';
import type { FileReader } from '#storage';

export interface SizedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** A layout that is being written. */
export interface LayoutSink {
  /** Set when what was written cannot be mended, so that there is no use in going on. */
  readonly isBroken: boolean;
  /** Whether a blob stands there already, proven by its digest. */
  holds(blob: SizedBlob): Promise<boolean>;
  /** Writes a blob, which `holds` denied. Throws `TransferRefusal` when its bytes have another digest. */
  putBlob(blob: SizedBlob, reader: FileReader): Promise<void>;
  /** Writes the bytes of a manifest, which are proven. */
  putManifest(digest: Digest, bytes: Buffer): Promise<void>;
}
