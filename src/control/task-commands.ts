import type { ControlCommands } from './contract.ts';

/** `tasks.list`: what runs, what waits, and how the last rounds ended. */
export function addTaskCommands(commands: ControlCommands): void {
  commands.add('tasks.list', async ({ host }) => ({ jobs: host.scheduler.status() }));
}
