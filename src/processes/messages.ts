import type { Config } from '#config';

/** What the supervisor tells its children, over the channel that Node opens between parent and child. */
export type ToChild =
  | {
      readonly kind: 'start';
      readonly config: Config;
      /** Counts the configurations since the server began. */
      readonly generation: number;
      /** The keeper's socket. */
      readonly socketPath: string;
      /** The port, resolved when the configuration leaves it to the kernel. */
      readonly port: number;
      /** 0 for the keeper, from 1 for the serving processes. */
      readonly number: number;
    }
  | { readonly kind: 'stop' }
  /** Make a changed configuration ready to be in force. */
  | { readonly kind: 'prepare'; readonly generation: number; readonly config: Config }
  /** Put it in force; a process that did not prepare it, since it began meanwhile, does both. */
  | { readonly kind: 'commit'; readonly generation: number; readonly config: Config }
  | { readonly kind: 'discard'; readonly generation: number }
  | { readonly kind: 'reopenLogs' };

/** What children tell the supervisor. */
export type FromChild =
  | { readonly kind: 'ready' }
  | { readonly kind: 'prepared' | 'committed'; readonly generation: number }
  /** The changed configuration cannot be had here. */
  | { readonly kind: 'refused'; readonly generation: number; readonly message: string }
  /** A start that the user has to mend something for: one line, no second try. */
  | { readonly kind: 'failed'; readonly message: string };
