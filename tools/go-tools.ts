import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { goTools, type GoTool, type GoToolName } from './test-tool-versions.ts';

const run = promisify(execFile);
const buildTimeoutMs = 20 * 60_000;

/** Where built tools are kept between runs: `ZOT_TOOLS_DIR`, or `.cache/tools` of the checkout. */
export function toolsFolder(): string {
  const configured = process.env['ZOT_TOOLS_DIR'] ?? '';
  return path.resolve(import.meta.dirname, '..', configured === '' ? '.cache/tools' : configured);
}

/** The file of a tool; its version is part of the name, so a new pin never meets an old build. */
export function goToolPath(name: GoToolName): string {
  const tool = goTools[name];
  return path.join(toolsFolder(), `${tool.name}-${tool.version}`);
}

export async function isGoToolInstalled(name: GoToolName): Promise<boolean> {
  return await access(goToolPath(name)).then(
    () => true,
    () => false,
  );
}

/** Builds a tool unless it is there. Returns the milliseconds that took. Throws with the output of `go`. */
export async function installGoTool(name: GoToolName): Promise<number> {
  const startMs = performance.now();
  if (!(await isGoToolInstalled(name))) await buildGoTool(goTools[name], goToolPath(name));
  return performance.now() - startMs;
}

async function buildGoTool(tool: GoTool, target: string): Promise<void> {
  await mkdir(toolsFolder(), { recursive: true });
  const buildFolder = await mkdtemp(path.join(toolsFolder(), `.${tool.name}-`));
  try {
    // Two compilers at once leave the machine usable; symbols would only make the cache bigger.
    const flags = ['-p', '2', '-trimpath', '-ldflags=-s -w'];
    if (tool.needsOuterModule === true) {
      await go(['mod', 'init', `tools.test/${tool.name}`], buildFolder);
      await go(['get', `${tool.goPackage}@${tool.version}`], buildFolder);
      await go(['build', ...flags, '-o', tool.name, tool.goPackage], buildFolder);
    } else {
      await go(['install', ...flags, `${tool.goPackage}@${tool.version}`], buildFolder);
    }
    await rename(path.join(buildFolder, tool.name), target);
  } finally {
    await rm(buildFolder, { recursive: true, force: true });
  }
}

async function go(args: readonly string[], folder: string): Promise<void> {
  const env = { ...process.env, GOBIN: folder, CGO_ENABLED: '0' };
  await run('go', [...args], { cwd: folder, env, timeout: buildTimeoutMs, maxBuffer: 16 * 1024 * 1024 });
}
