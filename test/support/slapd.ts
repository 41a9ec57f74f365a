import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../../tools/debian-tools.ts';
import { startProcess } from './process.ts';
import type { RunningProcess } from './process.ts';
import { makeCertificates } from './tls.ts';

const run = promisify(execFile);

export interface Directory {
  readonly port: number;
  readonly tlsPort: number;
  readonly folder: string;
  /** Of the directory's certificate, which is for 127.0.0.1 and localhost, not for 127.0.0.2. */
  readonly caFile: string;
  /** Ends the server, and with it every connection. */
  stop(): Promise<void>;
  /** Starts it again on the same ports. */
  start(): Promise<void>;
  remove(): Promise<void>;
}

export const BASE_DN = 'dc=example,dc=org';
export const SERVICE = { bindDN: `cn=service,${BASE_DN}`, bindPassword: 'service "pass" wörd' } as const;
/** Listens here too, though its certificate is for another address. */
export const OTHER_HOST = '127.0.0.2';

/** For the `skip` option of a suite. */
export async function skipWithoutSlapd(): Promise<string | false> {
  return (await findProgram('slapd')) === null ? 'slapd is not installed (Debian: slapd)' : false;
}

/** Starts Debian's OpenLDAP server with the entries of an LDIF text below `BASE_DN`. */
export async function startSlapd(ldif: string): Promise<Directory> {
  const folder = await mkdtemp(path.join(tmpdir(), 'zot-slapd-'));
  const certificates = await makeCertificates(folder);
  const data = path.join(folder, 'data');
  await mkdir(data);
  const configFile = path.join(folder, 'slapd.conf');
  await writeFile(configFile, configText(folder, data, certificates));
  await writeFile(path.join(folder, 'entries.ldif'), `${baseEntries()}\n${ldif}`);
  const program = (name: string): Promise<string | null> => findProgram(name);
  await run((await program('slapadd')) ?? 'slapadd', [
    '-f',
    configFile,
    '-l',
    path.join(folder, 'entries.ldif'),
  ]);
  const slapd = (await program('slapd')) ?? 'slapd';
  const [port, tlsPort] = [await freePort(), await freePort()];
  const urls = ['127.0.0.1', OTHER_HOST].flatMap((host) => [
    `ldap://${host}:${port}/`,
    `ldaps://${host}:${tlsPort}/`,
  ]);
  let running: RunningProcess | null = null;
  const start = async (): Promise<void> => {
    running = startProcess({
      command: [slapd, '-f', configFile, '-h', urls.join(' '), '-d', '0'],
      cwd: folder,
      env: {},
    });
    await answers(port, running);
  };
  const stop = async (): Promise<void> => {
    await running?.stop(10_000);
    running = null;
  };
  await start();
  const remove = async (): Promise<void> => {
    await stop();
    await rm(folder, { recursive: true, force: true });
  };
  return { port, tlsPort, folder, caFile: certificates.caFile, start, stop, remove };
}

function configText(
  folder: string,
  data: string,
  { caFile, certFile, keyFile }: { caFile: string; certFile: string; keyFile: string },
): string {
  const schemas = ['core', 'cosine', 'inetorgperson'].map(
    (name) => `include /etc/ldap/schema/${name}.schema`,
  );
  return `${schemas.join('\n')}
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile ${folder}/slapd.pid
TLSCACertificateFile ${caFile}
TLSCertificateFile ${certFile}
TLSCertificateKeyFile ${keyFile}
threads 4
database mdb
maxsize 16777216
suffix "${BASE_DN}"
rootdn "cn=admin,${BASE_DN}"
directory ${data}
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=open,${BASE_DN}" by * read
access to * by dn.exact="${SERVICE.bindDN}" read by * none
`;
}

function baseEntries(): string {
  return `dn: ${BASE_DN}
objectClass: domain
dc: example

dn: ${SERVICE.bindDN}
objectClass: person
cn: service
sn: service
userPassword:: ${Buffer.from(SERVICE.bindPassword).toString('base64')}

dn: ou=people,${BASE_DN}
objectClass: organizationalUnit
ou: people

dn: ou=deeper,ou=people,${BASE_DN}
objectClass: organizationalUnit
ou: deeper

dn: ou=open,${BASE_DN}
objectClass: organizationalUnit
ou: open
`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const START_TIMEOUT_MS = 15_000;

/** slapd says nothing when it is ready: it is asked for a connection until it takes one. */
async function answers(port: number, running: RunningProcess): Promise<void> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadlineMs) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await running.kill();
  throw new Error(`slapd does not answer\n${running.stderr()}`);
}
