import { WatchedFile } from '#lib/watched-file';
import { StartError } from '#lib/start-error';
import type { Logger } from '#lib/logger';
import type { TokenHeader } from './signed-token.ts';
import { KEY_BYTES_MAX, readVerificationKey } from './verification-key.ts';
import type { VerificationKey } from './verification-key.ts';

/** Where the key that verifies a token comes from. */
export interface KeySource {
  /** `null` when there is no key of this name. Throws when it cannot be found out. */
  find(header: TokenHeader): Promise<VerificationKey | null>;
  /** Changes whenever keys do, so that what was verified with others is not believed any more. */
  readonly generation: number;
  close(): void;
}

/** The key in a file, read again when the file changes. Throws `StartError`. */
export function fileKeySource(path: string, logger: Logger): KeySource {
  const log = logger.child({ component: 'bearer', path });
  let generation = 0;
  let file: WatchedFile<VerificationKey>;
  try {
    file = new WatchedFile({
      path,
      sizeBytesMax: KEY_BYTES_MAX,
      parse: readVerificationKey,
      onProblem: (problem) =>
        log.error({ problem }, 'the changed key of tokens cannot be used, the old one stays'),
      onChange: () => {
        generation += 1;
        log.info('the key of tokens has been read again');
      },
    });
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new StartError(`http.auth.bearer.cert: ${path} cannot be used: ${what}`, { cause: error });
  }
  return {
    find: async () => file.content,
    get generation() {
      return generation;
    },
    close: () => file.close(),
  };
}
