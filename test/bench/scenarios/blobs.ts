/** Moving bytes: blobs of three sizes in both directions, and a very large one. */
import { blobOf, type Blob } from '../load/content.ts';
import { pushBlob } from '../load/operations.ts';
import type { UploadStyle } from '../load/plan.ts';
import { fetchAndHash } from './checks.ts';
import type { LoadScenario, ScenarioCase, Target } from './scenario.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const REPOSITORY = 'bench/bytes';

interface Size {
  name: string;
  title: string;
  sizeBytes: number;
  /** Different blobs that are read in turn. */
  blobs: number;
  /** Most pushes of one turn: bounds the disk that a turn fills. */
  pushesMax: number;
}

const SIZES: Size[] = [
  { name: '4k', title: '4 KiB', sizeBytes: 4 * KIB, blobs: 64, pushesMax: 4000 },
  { name: '1m', title: '1 MiB', sizeBytes: MIB, blobs: 16, pushesMax: 400 },
  { name: '64m', title: '64 MiB', sizeBytes: 64 * MIB, blobs: 2, pushesMax: 8 },
];

function blobsOf({ sizeBytes, blobs }: Size): Blob[] {
  return Array.from({ length: blobs }, (_, index) => blobOf(sizeBytes, `blob-get-${index}`));
}

function blobPath(blob: Blob): string {
  return `/v2/${REPOSITORY}/blobs/${blob.digest}`;
}

function blobGet(size: Size): LoadScenario {
  return {
    kind: 'load',
    name: `blob-get-${size.name}`,
    title: `GET of blobs of ${size.title}`,
    store: 'empty',
    writes: false,
    seed: async ({ connection }) => {
      for (const blob of blobsOf(size)) await pushBlob(connection, REPOSITORY, blob, 'patch');
      for (const blob of blobsOf(size)) await fetchAndHash(connection, blobPath(blob), blob.digest);
    },
    cases: [1, 32].map((clients) => blobGetCase(size, clients)),
  };
}

function blobGetCase(size: Size, clients: number): ScenarioCase {
  return {
    name: clients === 1 ? '1 client' : `${clients} clients`,
    plan: (target, turn) => ({
      kind: 'requests',
      origin: target.origin,
      clients,
      limit: { durationMs: turn.durationMs, opsMax: Number.POSITIVE_INFINITY },
      method: 'GET',
      paths: blobsOf(size).map(blobPath),
      accept: null,
      expectStatus: 200,
    }),
  };
}

function blobPush(size: Size): LoadScenario {
  const many = size.name === '64m' ? 4 : 8;
  return {
    kind: 'load',
    name: `blob-push-${size.name}`,
    title: `Push of blobs of ${size.title} (PATCH: POST, PATCH, PUT as docker; PUT: POST, PUT as containerd)`,
    store: 'empty',
    writes: true,
    cases: [
      blobPushCase(size, { clients: 1, style: 'patch' }),
      blobPushCase(size, { clients: many, style: 'patch' }),
      blobPushCase(size, { clients: many, style: 'put' }),
    ],
  };
}

function blobPushCase(
  { sizeBytes, pushesMax }: Size,
  how: { clients: number; style: UploadStyle },
): ScenarioCase {
  const { clients, style } = how;
  return {
    name: `${style.toUpperCase()}, ${clients === 1 ? '1 client' : `${clients} clients`}`,
    plan: (target, turn) => ({
      kind: 'blob-pushes',
      origin: target.origin,
      clients,
      limit: { durationMs: turn.durationMs, opsMax: turn.quick ? Math.ceil(pushesMax / 4) : pushesMax },
      repository: REPOSITORY,
      sizeBytes,
      style,
      salt: turn.salt,
    }),
    verify: ({ connection }, { salt }) => {
      const first = blobOf(sizeBytes, `${salt}-0`);
      return fetchAndHash(connection, blobPath(first), first.digest);
    },
  };
}

/** One blob of 1 or 10 GB there and back: the memory column is what matters. */
export function hugeBlob(sizeBytes: number): LoadScenario {
  const name = 'huge';
  const one = { clients: 1, limit: { durationMs: 600_000, opsMax: 1 } };
  return {
    kind: 'load',
    name: 'huge-blob',
    title: `One blob of ${sizeBytes / 1e9} GB pushed (PATCH) and pulled once; see the column "growth" for memory`,
    store: 'empty',
    writes: true,
    once: true,
    seed: warmUp,
    cases: [
      {
        name: 'push',
        plan: ({ origin }) => {
          return {
            kind: 'blob-pushes',
            origin,
            ...one,
            repository: REPOSITORY,
            sizeBytes,
            style: 'patch',
            salt: name,
          };
        },
      },
      {
        name: 'pull',
        plan: ({ origin }) => {
          const path = `/v2/${REPOSITORY}/blobs/${blobOf(sizeBytes, `${name}-0`).digest}`;
          return {
            kind: 'requests',
            origin,
            ...one,
            method: 'GET',
            paths: [path],
            accept: null,
            expectStatus: 200,
          };
        },
      },
    ],
  };
}

/** Ordinary pushes and pulls first, so that growth is not that of a server that has not yet done anything. */
async function warmUp({ connection }: Target): Promise<void> {
  for (let round = 0; round < 4; round += 1) {
    const blob = blobOf(64 * MIB, `warm-up-${round}`);
    await pushBlob(connection, REPOSITORY, blob, 'patch');
    await fetchAndHash(connection, blobPath(blob), blob.digest);
  }
}

export const blobScenarios: LoadScenario[] = [...SIZES.map(blobGet), ...SIZES.map(blobPush)];
