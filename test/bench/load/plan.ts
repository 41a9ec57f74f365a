/** What the load generator is told to do in one turn, and what it tells back. Both travel between processes. */
import type { Origin } from './connection.ts';
import type { WrongSignIns } from './wrong-sign-ins.ts';

/** A turn ends at whichever comes first; operations under way are finished and counted. */
export interface Limit {
  durationMs: number;
  opsMax: number;
}

interface Turn {
  origin: Origin;
  clients: number;
  limit: Limit;
}

/** Clients send the same kind of bodiless request; each client walks through the paths from its own place. */
export interface RequestsPlan extends Turn {
  kind: 'requests';
  method: 'GET' | 'HEAD';
  paths: string[];
  accept: string | null;
  /** Absent: nobody signs in. */
  authorization?: string;
  /** Somebody who guesses passwords meanwhile; absent: nobody. */
  guesses?: WrongSignIns;
  expectStatus: number;
}

/** `patch`: POST, PATCH (chunked), PUT, as docker and crane send. `put`: POST, PUT with the body, as containerd. */
export type UploadStyle = 'patch' | 'put';

export interface BlobPushesPlan extends Turn {
  kind: 'blob-pushes';
  repository: string;
  sizeBytes: number;
  style: UploadStyle;
  /** Distinguishes the content of this turn from that of every other. */
  salt: string;
}

/** What an image consists of; a config blob of 512 bytes comes on top. */
export interface ImageShape {
  layerSizesBytes: number[];
}

/** One operation is a whole image: per blob HEAD, POST, PATCH, PUT, one after another, and then the manifest. */
export interface ImagePushesPlan extends Turn {
  kind: 'image-pushes';
  /** Image i goes to repository i modulo their number. */
  repositories: string[];
  shape: ImageShape;
  salt: string;
  style: UploadStyle;
}

/** One operation is a manifest of its own pushed under a tag of its own; its blobs are there already. */
export interface ManifestPushesPlan extends Turn {
  kind: 'manifest-pushes';
  repositories: string[];
  shape: ImageShape;
  /** Names the image whose blobs the manifests point to. */
  imageName: string;
  salt: string;
}

/** One operation is a whole image: manifest by tag, then config and layers, one after another. */
export interface ImagePullsPlan extends Turn {
  kind: 'image-pulls';
  images: { repository: string; tag: string; name: string; shape: ImageShape }[];
}

export type Plan = RequestsPlan | BlobPushesPlan | ImagePushesPlan | ManifestPushesPlan | ImagePullsPlan;

export interface Outcome {
  ops: number;
  /** Bytes of content moved, without headers. */
  bytes: number;
  elapsedMs: number;
  latenciesMs: Float64Array;
  failures: number;
  firstFailure: string | null;
  /** CPU seconds of the generator itself; null when unknown. */
  clientCpuSeconds: number | null;
}

/** Parent to generator: prepare a plan, then start it. Generator to parent: ready, then the outcome. */
export type ToGenerator = { type: 'prepare'; plan: Plan } | { type: 'go' };
export type FromGenerator =
  | { type: 'ready' }
  | { type: 'done'; outcome: Outcome }
  | { type: 'broken'; message: string };
