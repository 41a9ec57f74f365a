import type { Config } from '#config';

/** What the supervisor tells its children, over the channel that Node opens between parent and child. */
export type ToChild =
  | {
      readonly kind: 'start';
      readonly config: Config;
      /** The keeper's socket. */
      readonly socketPath: string;
      /** The port, resolved when the configuration leaves it to the kernel. */
      readonly port: number;
      /** 0 for the keeper, from 1 for the serving processes. */
      readonly number: number;
    }
  | { readonly kind: 'stop' }
  | { readonly kind: 'reopenLogs' };

/** What children tell the supervisor. */
export type FromChild =
  | { readonly kind: 'ready' }
  /** A start that the user has to mend something for: one line, no second try. */
  | { readonly kind: 'failed'; readonly message: string };
