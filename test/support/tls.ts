import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface TestCertificates {
  /** PEM of the authority that clients have to trust (`SSL_CERT_FILE` for Go, `NODE_EXTRA_CA_CERTS` for Node). */
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

const extensions = `
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
`;

/** Makes an authority and a server certificate for 127.0.0.1, valid for a day, in the folder. Needs openssl. */
export async function makeCertificates(folder: string): Promise<TestCertificates> {
  const file = (name: string): string => path.join(folder, name);
  const keyOptions = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const caArgs = ['-x509', '-days', '1', '-subj', '/CN=zot test authority'];
  await run('openssl', ['req', ...caArgs, ...keyOptions, '-keyout', file('ca.key'), '-out', file('ca.crt')]);
  const requestArgs = ['-subj', '/CN=127.0.0.1', '-keyout', file('server.key'), '-out', file('server.csr')];
  await run('openssl', ['req', ...keyOptions, ...requestArgs]);
  await writeFile(file('server.ext'), extensions);
  const signArgs = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '1'];
  const fileArgs = ['-in', file('server.csr'), '-extfile', file('server.ext'), '-out', file('server.crt')];
  await run('openssl', ['x509', '-req', ...signArgs, ...fileArgs]);
  return { caFile: file('ca.crt'), certFile: file('server.crt'), keyFile: file('server.key') };
}
