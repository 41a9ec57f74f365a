/**
 * A change that is ready to be made, in two steps so that several parts make it together or not at all: all prepare,
 * and only when none of them failed does each commit.
 */
export interface Prepared {
  /** Makes the change. Must not fail for a reason that preparing could have found. */
  commit(): Promise<void>;
  /** Gives the change up. */
  discard(): Promise<void>;
}

/** Prepares a change in every part; when one of them cannot, all give it up, and the first reason is thrown. */
export async function prepareAll(parts: readonly (() => Promise<Prepared>)[]): Promise<Prepared> {
  const outcomes = await Promise.allSettled(parts.map((prepare) => prepare()));
  const prepared = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const discard = async (): Promise<void> => {
    await Promise.all(prepared.map((part) => part.discard()));
  };
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    await discard();
    throw failed.reason;
  }
  return {
    commit: async () => {
      await Promise.all(prepared.map((part) => part.commit()));
    },
    discard,
  };
}
