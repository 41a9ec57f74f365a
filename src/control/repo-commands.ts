import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { RegistryError } from '#registry';
import { ControlRefusal, textArgument } from './contract.ts';
import type { ControlArguments, ControlCall, ControlCommands } from './contract.ts';

/** `repo.delete` and `repo.rename`: whole repositories. */
export function addRepoCommands(commands: ControlCommands): void {
  commands.add('repo.delete', (call) => refusable(() => remove(call)));
  commands.add('repo.rename', (call) => refusable(() => rename(call)));
}

async function remove({ args, host }: ControlCall): Promise<unknown> {
  const repo = nameArgument(args, 'name');
  const outcome = await host.keeper.removeRepository(repo);
  host.logger.info({ component: 'storage', repository: repo, ...outcome }, 'repository removed');
  return { repository: repo, ...outcome };
}

async function rename({ args, host }: ControlCall): Promise<unknown> {
  const [repo, target] = [nameArgument(args, 'name'), nameArgument(args, 'target')];
  const outcome = await host.keeper.renameRepository(repo, target);
  host.logger.info({ component: 'storage', repository: repo, target, ...outcome }, 'repository renamed');
  return { repository: repo, target, ...outcome };
}

function nameArgument(args: ControlArguments, name: string): RepoName {
  const text = textArgument(args, name);
  if (!isRepoName(text)) throw new ControlRefusal(`"${text}" is no repository name`);
  return text;
}

/** What the registry refuses is said in its words. */
async function refusable(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RegistryError && error.status < 500) throw new ControlRefusal(error.message);
    throw error;
  }
}
