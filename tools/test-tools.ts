/**
 * Installs what the interop and conformance suites run: `node tools/test-tools.ts [--go] [--debian] [name...]`.
 * Without words, everything. Tools that are there already cost nothing; the time of each is printed.
 */
import process from 'node:process';
import { installDebianTools } from './debian-tools.ts';
import { goToolPath, installGoTool, isGoToolInstalled } from './go-tools.ts';
import { goTools, type GoToolName } from './test-tool-versions.ts';

const words = process.argv.slice(2);
const names = words.filter((word) => !word.startsWith('--'));
const wantsAll = words.length === 0;

if (wantsAll || words.includes('--debian')) await installDebianTools();
for (const name of goToolNames()) {
  if (!wantsAll && !words.includes('--go') && !names.includes(name)) continue;
  const state = (await isGoToolInstalled(name)) ? 'present' : 'built';
  const durationMs = await installGoTool(name);
  console.log(`${state.padEnd(8)} ${(durationMs / 1000).toFixed(1).padStart(7)} s  ${goToolPath(name)}`);
}

function goToolNames(): GoToolName[] {
  const known = Object.keys(goTools);
  for (const name of names) {
    if (!known.includes(name)) throw new Error(`unknown tool ${name}; known are ${known.join(', ')}`);
  }
  return Object.values(goTools).map((tool) => tool.name);
}
