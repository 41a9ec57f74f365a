import { mkdir, mkdtemp, readFile, rename, rm, access, cp, symlink } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { createHash } from 'node:crypto';
import { gzip } from 'node:zlib';
import { projectRoot } from '../../support/server.ts';
import { LayoutWriter, mediaTypes, type Descriptor } from './layout.ts';
import { runProgram } from './program.ts';

const compress = promisify(gzip);

/** Counts up when what a fixture holds changes, so that a cached one of before is not used. */
const fixturesVersion = 1;
const configuredFolder = process.env['ZOT_FIXTURES_DIR'] ?? '';
const cacheFolder = path.resolve(projectRoot, configuredFolder || '.cache/fixtures', `v${fixturesVersion}`);

/** A cached image layout of real files. Treat it as read-only: suites copy from it. */
export interface Fixture {
  readonly folder: string;
  readonly tag: string;
}

/** A single-platform image of two layers: busybox with its links, and real text files of the machine. */
export async function toolsImage(): Promise<Fixture> {
  return await cached('tools', 'latest', async (writer, work) => {
    const bin = path.join(work, 'base/bin');
    await mkdir(bin, { recursive: true });
    await cp('/bin/busybox', path.join(bin, 'busybox'));
    for (const name of ['sh', 'ls', 'cat', 'echo', 'wget']) await symlink('busybox', path.join(bin, name));
    await mkdir(path.join(work, 'text/usr/share'), { recursive: true });
    await cp('/usr/share/common-licenses', path.join(work, 'text/usr/share/common-licenses'), {
      recursive: true,
    });
    const layers = [
      await addLayer(writer, path.join(work, 'base')),
      await addLayer(writer, path.join(work, 'text')),
    ];
    return await addImage(writer, layers, { architecture: 'amd64', os: 'linux' });
  });
}

/** An index of a Go program for three platforms, each image with a layer of its own. */
export async function helloIndex(): Promise<Fixture> {
  return await cached('hello', 'v1', async (writer, work) => {
    const manifests: Descriptor[] = [];
    for (const platform of helloPlatforms) {
      const folder = path.join(work, Object.values(platform).join('-'));
      await buildHello(path.join(folder, 'app/hello'), platform.architecture);
      manifests.push({ ...(await addImage(writer, [await addLayer(writer, folder)], platform)), platform });
    }
    const annotations = { 'org.opencontainers.image.title': 'hello' };
    return await writer.addJson(mediaTypes.index, {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests,
      annotations,
    });
  });
}

export const helloPlatforms = [
  { architecture: 'amd64', os: 'linux' },
  { architecture: 'arm64', os: 'linux' },
  { architecture: 'riscv64', os: 'linux' },
] as const;

/** A Debian root file system made by mmdebstrap, without documentation: one layer of about 40 MB. */
export async function debianImage(): Promise<Fixture> {
  return await cached('debian', 'bookworm', async (writer, work) => {
    const tarFile = path.join(work, 'root.tar');
    const excluded = ['doc', 'man', 'locale', 'info'].map(
      (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
    );
    const args = ['--mode=root', '--variant=minbase', ...excluded, 'bookworm', tarFile];
    await runProgram('mmdebstrap', args, { timeoutMs: 10 * 60_000 });
    const layer = await addTar(writer, tarFile);
    return await addImage(writer, [layer], { architecture: 'amd64', os: 'linux' });
  });
}

/** Builds the program of `test/interop/hello` for a processor. */
export async function buildHello(target: string, architecture: string): Promise<void> {
  const env = { CGO_ENABLED: '0', GOOS: 'linux', GOARCH: architecture };
  const args = ['build', '-p', '2', '-trimpath', '-ldflags=-s -w -buildid=', '-o', target, '.'];
  await runProgram('go', args, {
    cwd: path.join(projectRoot, 'test/interop/hello'),
    env,
    timeoutMs: 5 * 60_000,
  });
}

interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

type Build = (writer: LayoutWriter, workFolder: string) => Promise<Descriptor>;

/** Builds beside the final place and renames, so that a cache never holds half a fixture. */
async function cached(name: string, tag: string, build: Build): Promise<Fixture> {
  const folder = path.join(cacheFolder, name);
  if (await exists(folder)) return { folder, tag };
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(path.join(cacheFolder, `.${name}-`));
  try {
    const writer = new LayoutWriter(path.join(work, 'layout'));
    const sources = path.join(work, 'sources');
    await mkdir(sources);
    await writer.tag(tag, await build(writer, sources));
    // Two suites may build the same fixture at once: the second finds the first one's, which is as good.
    await rename(writer.folder, folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return { folder, tag };
}

async function addLayer(writer: LayoutWriter, folder: string): Promise<Layer> {
  const tarFile = `${folder}.tar`;
  const plain = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  await runProgram('tar', [...plain, '-C', folder, '-cf', tarFile, '.']);
  return await addTar(writer, tarFile);
}

async function addTar(writer: LayoutWriter, tarFile: string): Promise<Layer> {
  const tar = await readFile(tarFile);
  const diffId = `sha256:${createHash('sha256').update(tar).digest('hex')}`;
  return { descriptor: await writer.addBlob(mediaTypes.layer, await compress(tar)), diffId };
}

async function addImage(
  writer: LayoutWriter,
  layers: readonly Layer[],
  platform: Readonly<Record<string, string>>,
): Promise<Descriptor> {
  const config = await writer.addJson(mediaTypes.config, {
    created: '2026-01-01T00:00:00Z',
    ...platform,
    config: { Env: ['PATH=/bin:/usr/bin'], Cmd: ['/bin/sh'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map(() => ({ created: '2026-01-01T00:00:00Z', created_by: 'interop fixture' })),
  });
  return await writer.addJson(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config,
    layers: layers.map((layer) => layer.descriptor),
  });
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}
