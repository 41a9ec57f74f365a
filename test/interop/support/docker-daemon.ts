import { runProgram, tryProgram, absent, type ProgramOutput } from './program.ts';
import { startProcess, type RunningProcess } from '../../support/process.ts';
import { eventually } from '../../support/eventually.ts';
import type { Workspace } from './workspace.ts';

/** A Docker daemon of our own, without network rules, on a socket in a workspace, and its client. */
export class DockerDaemon {
  /** Why there is none on this machine; `false` when it answers. */
  readonly whyNot: string | false;
  #workspace: Workspace;
  #running: RunningProcess;

  private constructor(workspace: Workspace, running: RunningProcess, whyNot: string | false) {
    this.#workspace = workspace;
    this.#running = running;
    this.whyNot = whyNot;
  }

  static async start(workspace: Workspace): Promise<DockerDaemon> {
    const folders = ['--data-root', workspace.file('data'), '--exec-root', workspace.file('exec')];
    const files = ['--pidfile', workspace.file('pid'), '--host', `unix://${workspace.file('docker.sock')}`];
    const network = ['--bridge=none', '--iptables=false', '--ip-forward=false', '--ip-masq=false'];
    const command = ['dockerd', ...folders, ...files, ...network, '--storage-driver=vfs'];
    const running = startProcess({ command, cwd: workspace.folder, env: {} });
    const daemon = new DockerDaemon(workspace, running, false);
    try {
      const answers = async (): Promise<boolean> => (await daemon.try('version')).exitCode === 0;
      await eventually(answers, 30_000, 'the daemon answers');
      return daemon;
    } catch {
      const why = `the Docker daemon does not start here: ${running.stderr().slice(-500)}`;
      return new DockerDaemon(workspace, running, absent('dockerd', why));
    }
  }

  /** Runs the client; throws with all output when it fails. */
  async run(...args: readonly string[]): Promise<string> {
    return (await runProgram('docker', args, { env: this.#environment() })).stdout.trim();
  }

  /** As `run`, but a failure is an answer. */
  async try(...args: readonly string[]): Promise<ProgramOutput & { readonly exitCode: number | string }> {
    return await tryProgram('docker', args, { env: this.#environment(), timeoutMs: 20_000 });
  }

  /** Makes an image of one layer. */
  async importImage(name: string): Promise<void> {
    const file = this.#workspace.file('import.tar');
    await runProgram('tar', ['-C', '/', '-cf', file, 'bin/busybox']);
    await this.run('import', '--change', 'CMD ["/bin/busybox"]', file, name);
  }

  async stop(): Promise<void> {
    await this.#running.stop(15_000);
    // The daemon binds its data folder to itself and leaves that mount behind.
    await tryProgram('umount', [this.#workspace.file('data')]);
  }

  #environment(): Record<string, string> {
    return {
      DOCKER_HOST: `unix://${this.#workspace.file('docker.sock')}`,
      DOCKER_CONFIG: this.#workspace.file('client'),
      DOCKER_BUILDKIT: '0',
    };
  }
}
