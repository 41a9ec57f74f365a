import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { inItsWords, requireWritable, userOf } from './changing.ts';
import { ControlRefusal, textArgument } from './contract.ts';
import type { ControlArguments, ControlCall, ControlCommands } from './contract.ts';

/** `repo.delete` and `repo.rename`: whole repositories. */
export function addRepoCommands(commands: ControlCommands): void {
  commands.add('repo.delete', (call) => inItsWords(() => remove(call)));
  commands.add('repo.rename', (call) => inItsWords(() => rename(call)));
}

async function remove({ args, host }: ControlCall): Promise<unknown> {
  requireWritable(host);
  const repo = nameArgument(args, 'name');
  const subject = userOf(args);
  const outcome = await host.keeper.removeRepository(repo, subject);
  host.audit.event({ action: 'repository delete', subject, object: repo, outcome: 'allowed' });
  host.logger.info({ component: 'storage', repository: repo, ...outcome }, 'repository removed');
  return { repository: repo, ...outcome };
}

async function rename({ args, host }: ControlCall): Promise<unknown> {
  requireWritable(host);
  const [repo, target] = [nameArgument(args, 'name'), nameArgument(args, 'target')];
  const outcome = await host.keeper.renameRepository(repo, target);
  const object = `${repo} to ${target}`;
  host.audit.event({ action: 'repository rename', subject: userOf(args), object, outcome: 'allowed' });
  host.logger.info({ component: 'storage', repository: repo, target, ...outcome }, 'repository renamed');
  return { repository: repo, target, ...outcome };
}

function nameArgument(args: ControlArguments, name: string): RepoName {
  const text = textArgument(args, name);
  if (!isRepoName(text)) throw new ControlRefusal(`"${text}" is no repository name`);
  return text;
}
