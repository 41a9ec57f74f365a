/** A part of the suite that may be skipped or turned off, and why a complete registry need not have it. */
export interface AllowedSkip {
  /** Start of the name of the case, or the whole name of a kind of data in the suite's summary. */
  readonly name: string;
  readonly reason: string;
}

/** Every entry is a decision: anything else that the suite skips fails the run. */
export const allowedSkips: readonly AllowedSkip[] = [
  {
    name: 'Sparse Manifests',
    reason:
      'Pushing an index or image whose children or blobs are absent is optional ' +
      '(spec, "Pushing Manifests": a registry MAY reject it); zot and we refuse it and name the missing digest.',
  },
];
