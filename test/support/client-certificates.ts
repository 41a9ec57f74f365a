import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

export interface ClientCertificateOptions {
  /** As `openssl req -subj` writes it. */
  readonly subject?: string;
  /** As in an openssl configuration: `URI:spiffe://a/b, DNS:x, email:y`. */
  readonly alternativeNames?: string;
  /** Already over. */
  readonly expired?: boolean;
}

/** An authority that signs certificates with openssl, in a folder. */
export class TestAuthority {
  readonly caFile: string;
  #folder: string;
  #name: string;
  #count = 0;

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
    this.caFile = path.join(folder, `${name}-ca.crt`);
  }

  static async make(folder: string, name: string): Promise<TestAuthority> {
    const authority = new TestAuthority(folder, name);
    const key = path.join(folder, `${name}-ca.key`);
    const args = ['-x509', '-days', '2', '-subj', `/CN=${name} authority`, ...EC_KEY, '-keyout', key];
    await run('openssl', ['req', ...args, '-out', authority.caFile]);
    return authority;
  }

  /** A certificate for a client, with its key. */
  async sign(options: ClientCertificateOptions): Promise<CertificateFiles> {
    this.#count += 1;
    const file = (ending: string): string =>
      path.join(this.#folder, `${this.#name}-${this.#count}.${ending}`);
    const extensions = ['basicConstraints = CA:FALSE', 'extendedKeyUsage = clientAuth'];
    if (options.alternativeNames !== undefined)
      extensions.push(`subjectAltName = ${options.alternativeNames}`);
    await writeFile(file('ext'), `${extensions.join('\n')}\n`);
    const subject = ['-subj', options.subject ?? '/', '-utf8'];
    await run('openssl', ['req', '-new', ...EC_KEY, ...subject, '-keyout', file('key'), '-out', file('csr')]);
    const signing = [
      '-CA',
      this.caFile,
      '-CAkey',
      path.join(this.#folder, `${this.#name}-ca.key`),
      '-CAcreateserial',
    ];
    // A negative number of days ends before it begins, which openssl signs all the same.
    const days = ['-days', options.expired === true ? '-1' : '1'];
    const files = ['-in', file('csr'), '-extfile', file('ext'), '-out', file('crt')];
    await run('openssl', ['x509', '-req', ...signing, ...days, ...files]);
    return { cert: file('crt'), key: file('key') };
  }
}

const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
