import { readFileSync, statSync } from 'node:fs';

export interface TlsPaths {
  readonly cert: string;
  readonly key: string;
  /** '' when client certificates are not asked for. */
  readonly ca: string;
  /** Refuse clients without a certificate. */
  readonly requiresClients?: boolean;
}

export interface TlsContext {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
  readonly ciphers: string;
  readonly ecdhCurve: string;
}

/** TLS 1.3's own, and of TLS 1.2 the forward secret ones with authenticated encryption, as in zot. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');
const CURVES = 'X25519:P-256:P-384:P-521';
/** By polling the names, so that renames and link swaps (Kubernetes) are seen like writes. */
const POLL_MS = 1000;

/**
 * Certificate and key from files, replaced without a restart. A new pair that cannot be used leaves the old one in
 * force; `onProblem` hears of it.
 */
export class TlsFiles {
  #paths: TlsPaths;
  #context: TlsContext;
  #seen: string;
  #timer: NodeJS.Timeout;
  #listeners: ((context: TlsContext) => void)[] = [];
  #onProblem: (problem: string) => void;

  /** Throws when the files cannot be read at the start. */
  constructor(paths: TlsPaths, onProblem: (problem: string) => void) {
    this.#paths = paths;
    this.#onProblem = onProblem;
    this.#context = readContext(paths);
    this.#seen = versionOf(paths);
    this.#timer = setInterval(() => this.check(), POLL_MS);
    this.#timer.unref();
  }

  /** Whether clients are asked for a certificate, and whether they must have one. */
  get clientCertificates(): 'none' | 'optional' | 'required' {
    if (this.#paths.ca === '') return 'none';
    return this.#paths.requiresClients === true ? 'required' : 'optional';
  }

  current(): TlsContext {
    return this.#context;
  }

  /** `listener` may throw when the pair does not fit together; the old one then stays. */
  onChange(listener: (context: TlsContext) => void): void {
    this.#listeners.push(listener);
  }

  /** Looks whether the files changed and takes them over. */
  check(): void {
    const seen = versionOf(this.#paths);
    if (seen === this.#seen) return;
    this.#seen = seen;
    try {
      const context = readContext(this.#paths);
      for (const listener of this.#listeners) listener(context);
      this.#context = context;
    } catch (error) {
      this.#onProblem(error instanceof Error ? error.message : String(error));
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

function readContext(paths: TlsPaths): TlsContext {
  // At the start and after a change, small files: a handshake must not see half of a pair.
  const ca = paths.ca === '' ? null : readFileSync(paths.ca);
  // Without any, every certificate would be refused; half a file is more likely than that.
  if (ca !== null && !ca.includes('-----BEGIN CERTIFICATE-----'))
    throw new Error(`${paths.ca} holds no certificate`);
  return {
    // As above.
    cert: readFileSync(paths.cert),
    // As above.
    key: readFileSync(paths.key),
    ...(ca === null ? {} : { ca }),
    ciphers: CIPHERS,
    ecdhCurve: CURVES,
  };
}

function versionOf(paths: TlsPaths): string {
  return [paths.cert, paths.key, paths.ca]
    .filter((path) => path !== '')
    .map((path) => {
      // Once a second, of names that the kernel has in memory.
      const found = statSync(path, { bigint: true, throwIfNoEntry: false });
      return found === undefined ? 'absent' : `${found.ino}-${found.size}-${found.mtimeNs}-${found.ctimeNs}`;
    })
    .join(' ');
}
