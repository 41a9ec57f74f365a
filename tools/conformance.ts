/**
 * Runs the OCI conformance suite against a registry: `npm run conformance -- [options]`.
 * Without options it starts our server from the sources. Exit code 1 on a failure or on a skip that is not explained.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { connect } from 'node:tls';
import { parseArgs, promisify } from 'node:util';
import { hashSync } from 'bcryptjs';
import { parse as parseYaml } from 'yaml';
import { parseJunit } from '../test/conformance/junit.ts';
import { judge, summaryTable, type ConformanceSummary, type Verdict } from '../test/conformance/report.ts';
import { startDockerRegistry } from '../test/support/docker-registry.ts';
import { projectRoot, startServer } from '../test/support/server.ts';
import { makeCertificates, type TestCertificates } from '../test/support/tls.ts';
import { goToolPath, installGoTool } from './go-tools.ts';

const run = promisify(execFile);
const suiteTimeoutMs = 5 * 60_000;
const user = 'conformance';
const password = randomBytes(12).toString('hex');

const usage = `Usage: npm run conformance -- [options]
  --url URL        test a registry that runs already
  --peer           test Debian's docker-registry (to judge the suite, not us)
  --command WORDS  start this in place of the sources, for example "dist/zot-minimal"
  --env NAME=VALUE set a variable for the server; may be given several times
  --workers N      number of serving processes (1)
  --tls            serve HTTPS with a certificate of our own making, and insist on HTTP/2
  --access         sign in by a password file, under policies that let nobody else in
  --spec VERSION   1.1 or dev (dev: 1.1 and what the next version adds; the default)
  --label NAME     folder of the reports under .cache/conformance`;

interface Target {
  readonly url: string;
  /** The authority to trust, when the target has a certificate of our making. */
  readonly caFile: string | null;
  stop(): Promise<void>;
}

const options = parseArgs({
  options: {
    url: { type: 'string' },
    peer: { type: 'boolean', default: false },
    command: { type: 'string' },
    env: { type: 'string', multiple: true, default: [] },
    workers: { type: 'string', default: '1' },
    tls: { type: 'boolean', default: false },
    access: { type: 'boolean', default: false },
    spec: { type: 'string', default: 'dev' },
    label: { type: 'string', default: 'latest' },
    help: { type: 'boolean', default: false },
  },
}).values;

if (options.help) {
  console.log(usage);
} else {
  const verdict = await runConformance();
  for (const problem of verdict.problems) console.log(`\n${problem}`);
  console.log(`\n${verdict.passed} passed, ${verdict.failed} failed, ${verdict.skipped} skipped`);
  if (verdict.problems.length > 0) process.exitCode = 1;
}

async function runConformance(): Promise<Verdict> {
  await installGoTool('conformance');
  const folder = await mkdtemp(path.join(tmpdir(), 'zot-conformance-'));
  try {
    return await judgeTarget(await startTarget(folder));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function judgeTarget(target: Target): Promise<Verdict> {
  try {
    if (target.caFile !== null) await requireHttp2(target.url, target.caFile);
    const { cases, summary } = await runSuite(target);
    console.log(summaryTable(summary));
    return judge(cases, summary);
  } finally {
    await target.stop();
  }
}

async function startTarget(folder: string): Promise<Target> {
  if (options.url !== undefined) return { url: options.url, caFile: null, stop: async () => {} };
  if (options.peer) return { ...(await startDockerRegistry()), caFile: null };
  const certificates = options.tls ? await makeCertificates(folder) : null;
  const server = await startServer({
    config: {
      http: {
        workers: Number(options.workers),
        ...tlsConfig(certificates),
        ...(options.access ? await accessConfig(folder) : {}),
      },
    },
    env: Object.fromEntries(
      options.env.map((pair) => [pair.split('=', 1)[0] ?? '', pair.replace(/^[^=]*=/, '')]),
    ),
    ...(options.command === undefined ? {} : { command: options.command.split(' ') }),
  });
  const stop = async (): Promise<void> => {
    const exitCode = await server.stop();
    if (exitCode !== 0) {
      const log = server.stdout().slice(-3000);
      throw new Error(`the server ended with exit code ${exitCode} after the suite\n${log}`);
    }
  };
  return { url: server.url, caFile: certificates?.caFile ?? null, stop };
}

function tlsConfig(certificates: TestCertificates | null): Record<string, unknown> {
  return certificates === null ? {} : { tls: { cert: certificates.certFile, key: certificates.keyFile } };
}

async function accessConfig(folder: string): Promise<Record<string, unknown>> {
  const file = path.join(folder, 'htpasswd');
  await writeFile(file, `${user}:${hashSync(password, 4)}\n`);
  const policies = [{ users: [user], actions: ['read', 'create', 'update', 'delete'] }];
  return {
    auth: { htpasswd: { path: file } },
    accessControl: { repositories: { 'conformance/**': { policies } } },
  };
}

/** The suite's HTTP client takes HTTP/2 whenever the server offers it; that the server does is asked here. */
async function requireHttp2(url: string, caFile: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const ca = await readFile(caFile);
  const protocol = await new Promise<string | false | null>((resolve, reject) => {
    const socket = connect({
      host: hostname,
      port: Number(port),
      ca,
      ALPNProtocols: ['h2', 'http/1.1'],
      timeout: 10_000,
    });
    socket.once('error', reject);
    socket.once('timeout', () => socket.destroy(new Error('no TLS answer within 10 s')));
    socket.once('secureConnect', () => {
      resolve(socket.alpnProtocol);
      socket.end();
    });
  });
  if (protocol !== 'h2')
    throw new Error(`the server chose ${String(protocol)} where HTTP/2 was offered (ALPN)`);
  console.log('TLS with HTTP/2 by ALPN');
}

interface SuiteResult {
  readonly cases: ReturnType<typeof parseJunit>;
  readonly summary: ConformanceSummary;
}

async function runSuite(target: Target): Promise<SuiteResult> {
  const resultsFolder = path.join(projectRoot, '.cache/conformance', options.label);
  await rm(resultsFolder, { recursive: true, force: true });
  await mkdir(resultsFolder, { recursive: true });
  const env = { ...process.env, ...suiteEnvironment(target, resultsFolder) };
  // The suite's exit code is 1 on any failure; the reports say which, so they are read in both cases.
  const outcome = await run(goToolPath('conformance'), [], {
    env,
    cwd: resultsFolder,
    timeout: suiteTimeoutMs,
    maxBuffer: 256 * 1024 * 1024,
  }).catch((error: unknown) => error);
  const junit = await readFile(path.join(resultsFolder, 'junit.xml'), 'utf8').catch((error: unknown) => {
    throw new Error('the suite wrote no report', { cause: outcome instanceof Error ? outcome : error });
  });
  const summary = readSummary(await readFile(path.join(resultsFolder, 'results.yaml'), 'utf8'));
  console.log(`reports: ${path.relative(projectRoot, resultsFolder)}`);
  return { cases: parseJunit(junit), summary };
}

/** Everything that a complete registry has is turned on; only sparse content stays off (see allowed-skips.ts). */
function suiteEnvironment(target: Target, resultsFolder: string): Record<string, string> {
  const url = new URL(target.url);
  return {
    OCI_VERSION: options.spec,
    OCI_REGISTRY: url.host,
    OCI_TLS: url.protocol === 'https:' ? 'enabled' : 'disabled',
    OCI_REPO1: 'conformance/repo1',
    OCI_REPO2: 'conformance/nested/repo2',
    OCI_RESULTS_DIR: resultsFolder,
    ...(options.access ? { OCI_USERNAME: user, OCI_PASSWORD: password } : {}),
    OCI_API_BLOBS_DIGEST_HEADER: 'true',
    OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
    OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
    OCI_API_MANIFESTS_TAG_PARAM: 'true',
    ...(target.caFile === null ? {} : { SSL_CERT_FILE: target.caFile }),
  };
}

function readSummary(yaml: string): ConformanceSummary {
  const document: unknown = parseYaml(yaml);
  if (typeof document !== 'object' || document === null || !('apis' in document) || !('data' in document)) {
    throw new Error('results.yaml of the suite holds no summary');
  }
  return { apis: textMap(document.apis), data: textMap(document.data) };
}

function textMap(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null)
    throw new Error('results.yaml of the suite has another shape');
  return Object.fromEntries(Object.entries(value).map(([key, state]) => [key, String(state)]));
}
