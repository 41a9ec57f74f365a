/**
 * Commands that act on a storage folder from inside the process that owns it: the same code answers `zot gc` for a
 * running server, over a private socket, and for a folder that nobody serves.
 */
import type { Config } from '#config';
import type { AuditLog } from '#lib/audit-log';
import type { Logger } from '#lib/logger';
import type { IndexWriter, Records } from '#metadata';
import type { LocalKeeper } from '#registry';
import type { Storage } from '#storage';
import type { Scheduler } from '#tasks';

/** What commands have at hand: the keeper's side. */
export interface ControlHost {
  /** The one in force; another when it changes while the server runs. */
  config: Config;
  readonly logger: Logger;
  /** For what collection, retention and the like remove. */
  readonly audit: AuditLog;
  readonly keeper: LocalKeeper;
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly records: Records;
  readonly scheduler: Scheduler;
  /** Settles when the whole storage has been looked at. */
  readonly walked: Promise<void>;
  /** Whether something is held, or may be: then background work ends it. */
  readonly undoes: boolean;
  /** Whether clients are served meanwhile; if not, nothing can be in flight. */
  readonly serving: boolean;
}

export type ControlArguments = Readonly<Record<string, unknown>>;

export interface ControlCall {
  readonly args: ControlArguments;
  readonly host: ControlHost;
  /** Tells the user how far a long work is: any plain data. */
  readonly progress: (report: unknown) => void;
  /** Settles when the user has taken what was told; to be awaited by whoever tells much. */
  readonly ready: () => Promise<void>;
  /** Aborted when the user went away. */
  readonly signal: AbortSignal;
}

/** Gives the result as plain data; refuses with `ControlRefusal`, in words for the user. */
export type ControlCommand = (call: ControlCall) => Promise<unknown>;

/** What the user asked for cannot be done; one line, no stack. */
export class ControlRefusal extends Error {}

/** Commands by name, `gc.run`, `tasks.list`. Each area adds its own. */
export class ControlCommands {
  #commands = new Map<string, ControlCommand>();

  add(name: string, command: ControlCommand): void {
    if (this.#commands.has(name)) throw new Error(`there is a command ${name} already`);
    this.#commands.set(name, command);
  }

  async run(name: string, call: ControlCall): Promise<unknown> {
    const command = this.#commands.get(name);
    if (command === undefined)
      throw new ControlRefusal(`this server does not know the command ${name}: is it older?`);
    return command(call);
  }
}

/** A text argument that must be there. */
export function textArgument(args: ControlArguments, name: string): string {
  const value = args[name];
  if (typeof value !== 'string' || value === '') throw new ControlRefusal(`the argument ${name} is missing`);
  return value;
}

/** An argument that is on or off; absent is off. */
export function flagArgument(args: ControlArguments, name: string): boolean {
  return args[name] === true;
}
