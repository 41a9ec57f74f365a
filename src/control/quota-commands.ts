import type { ControlCommands } from './contract.ts';

/** `quota.list`: the quotas in force and how they stand. */
export function addQuotaCommands(commands: ControlCommands): void {
  commands.add('quota.list', async ({ host }) => ({ quotas: await host.keeper.quotaStatus() }));
}
