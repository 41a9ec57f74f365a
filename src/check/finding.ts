/** What a check can find: for each kind what it means for users, and how to mend it. */

export type Severity =
  /** Something that was stored is lost, wrong or cannot be served. */
  | 'damage'
  /** Worth knowing, and nothing is lost by it. */
  | 'note';

interface Kind {
  readonly severity: Severity;
  readonly meaning: string;
  readonly remedy: string;
}

const pushAgain = 'push the image again, or copy the file from a backup or from another registry';

const KINDS = {
  'layout-missing': {
    severity: 'damage',
    meaning: 'oci-layout is missing, so that other tools do not take the folder for an image layout',
    remedy: 'write {"imageLayoutVersion":"1.0.0"} into it; the next push does so by itself',
  },
  'layout-invalid': {
    severity: 'damage',
    meaning: 'oci-layout does not say {"imageLayoutVersion":"1.0.0"}, so that other tools refuse the folder',
    remedy: 'write {"imageLayoutVersion":"1.0.0"} into it',
  },
  'index-missing': {
    severity: 'damage',
    meaning: 'index.json is missing: the repository is not served, though its content is there',
    remedy:
      'copy index.json from a backup, or push the images again (blobs that are there are not sent again)',
  },
  'index-unusable': {
    severity: 'damage',
    meaning: 'index.json cannot be used; a running registry serves what it read last, a fresh one nothing',
    remedy:
      'copy index.json from a backup, or push the images again (blobs that are there are not sent again)',
  },
  'index-repeats-member': {
    severity: 'damage',
    meaning:
      'index.json holds a member twice; the last one counts, and what only the others name is not served',
    remedy: 'join the lists by hand, or push the images again',
  },
  'descriptor-unreadable': {
    severity: 'damage',
    meaning: 'index.json holds a descriptor that cannot be read: what it names is not served',
    remedy: 'mend the descriptor by hand, or push the image again',
  },
  'tag-repeated': {
    severity: 'note',
    meaning: 'two descriptors have the same tag; the first one is served',
    remedy: 'push or delete the tag, which leaves one of them or none',
  },
  'manifest-missing': {
    severity: 'damage',
    meaning: 'the manifest is missing: what names it cannot be pulled',
    remedy: pushAgain,
  },
  'manifest-wrong-size': {
    severity: 'damage',
    meaning: 'the manifest does not have the size that its descriptor says: clients refuse it',
    remedy: pushAgain,
  },
  'manifest-wrong-digest': {
    severity: 'damage',
    meaning: 'the bytes of the manifest are not those of its digest: it is not served',
    remedy: pushAgain,
  },
  'manifest-unreadable': {
    severity: 'note',
    meaning:
      'the manifest is whole but not of the form of its type: it is served, and what it needs is unknown',
    remedy: 'nothing, if clients can use it; otherwise delete it by its digest',
  },
  'blob-missing': {
    severity: 'damage',
    meaning: 'the blob is missing: images that need it cannot be pulled',
    remedy: pushAgain,
  },
  'blob-wrong-size': {
    severity: 'damage',
    meaning: 'the blob does not have the size that the manifest says: images that need it cannot be pulled',
    remedy: pushAgain,
  },
  'blob-wrong-digest': {
    severity: 'damage',
    meaning: 'the bytes of the blob are not those of its digest: clients that pull it refuse it',
    remedy: pushAgain,
  },
  'blob-empty': {
    severity: 'damage',
    meaning: 'the file of the blob is empty, and no empty content has this digest',
    remedy: pushAgain,
  },
  'stray-file': {
    severity: 'damage',
    meaning: 'a file or folder among the blobs has a name that is no digest: nothing can refer to it',
    remedy: 'remove it, if you know where it comes from',
  },
  'name-invalid': {
    severity: 'damage',
    meaning: 'an image layout lies in a folder whose path is no repository name: it is not served',
    remedy: 'rename the folder: lower case letters and digits, joined by single ".", "_", "__" or "-"',
  },
  'cannot-be-read': {
    severity: 'damage',
    meaning: 'a file or folder cannot be read',
    remedy: 'see to the permissions, and to the health of the disk',
  },
  'uploads-left': {
    severity: 'note',
    meaning: 'uploads that nobody has finished yet',
    remedy: 'nothing: clients may go on with them, and the registry removes old ones',
  },
  'first-push-interrupted': {
    severity: 'note',
    meaning: 'a first push into this repository was interrupted before its end; nothing was promised yet',
    remedy: 'nothing: the next push completes the folder',
  },
  'index-database-damaged': {
    severity: 'damage',
    meaning: 'the index of the registry is damaged; it only mirrors the folder, so that nothing is lost',
    remedy: 'stop the registry and remove _zot/index.db, or start it with --force-reparse',
  },
  'records-database-damaged': {
    severity: 'damage',
    meaning: 'the records of the registry (pull counts and times, push times, keys) are damaged or gone',
    remedy: 'stop the registry and restore _zot/records.db from a backup, or remove it and lose what it held',
  },
} as const satisfies Record<string, Kind>;

export type FindingKind = keyof typeof KINDS;

/** All kinds, for the documentation and for tests that want every one of them planted. */
export const FINDING_KINDS: Readonly<Record<FindingKind, Kind>> = KINDS;

export interface Finding {
  readonly severity: Severity;
  readonly kind: FindingKind;
  /** `null` where a finding concerns no repository. */
  readonly repository: string | null;
  readonly digest: string | null;
  /** Relative to the folder that is checked. */
  readonly path: string;
  readonly meaning: string;
  /** The facts of this one: sizes, tags, who needs it. Empty when the kind says it all. */
  readonly detail: string;
  readonly remedy: string;
}

export interface Place {
  readonly repository?: string;
  readonly digest?: string;
  readonly path: string;
  readonly detail?: string;
}

export function findingOf(kind: FindingKind, place: Place): Finding {
  const { repository = null, digest = null, path, detail = '' } = place;
  return { ...KINDS[kind], kind, repository, digest, path, detail };
}
