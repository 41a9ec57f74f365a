import { Pace, RetentionPreview, SweepClock, gcSettings, systemTime } from '#tasks';
import type { GcSettings, PreviewSummary, TaskContext } from '#tasks';
import { ControlRefusal, flagArgument } from './contract.ts';
import type { ControlCall, ControlCommands } from './contract.ts';
import { retentionOf } from './policies-argument.ts';
import type { RetentionText } from './policies-argument.ts';

/** `retention.preview`: what policies that need not be in force would do; it changes nothing. */
export function addRetentionCommands(commands: ControlCommands): void {
  commands.add('retention.preview', preview);
}

interface StorePreview extends PreviewSummary {
  readonly store: string;
}

interface PreviewResult {
  readonly stores: readonly StorePreview[];
  readonly warnings: readonly string[];
}

async function preview(call: ControlCall): Promise<PreviewResult> {
  const given = retentionOf(call.args.stores);
  const { storage, index, records, keeper } = call.host;
  const clock = new SweepClock(systemTime);
  const stores: StorePreview[] = [];
  for (const store of storage.stores) {
    const settings = compiled(given[store.route] ?? given['']);
    const parts = { storage, index, records, keeper, clock, store, settings };
    const more = { all: flagArgument(call.args, 'all'), tell };
    const summary = await new RetentionPreview({ ...parts, ...more }, contextOf(call)).run();
    stores.push({ store: store.route || 'default', ...summary });
  }
  return { stores, warnings: warningsOf(call, given) };

  async function tell(report: unknown): Promise<void> {
    call.progress(report);
    await call.ready();
  }
}

/** Beside requests it keeps to its share of the time, as background work does. */
function contextOf({ host, signal }: ControlCall): TaskContext {
  const pace = new Pace(systemTime);
  return { signal, pause: () => (host.serving ? pace.pause(signal) : Promise.resolve()) };
}

function compiled(given: RetentionText | undefined): GcSettings {
  if (given === undefined) throw new ControlRefusal('the policies of the default store are missing');
  try {
    return gcSettings(given);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ControlRefusal(`a pattern cannot be read: ${reason}`);
  }
}

function warningsOf({ host }: ControlCall, given: Readonly<Record<string, RetentionText>>): string[] {
  const routes = new Set(host.storage.stores.map(({ route }) => route));
  const warnings: string[] = [];
  for (const [route, { gc, retention }] of Object.entries(given)) {
    const place = route === '' ? 'the default store' : `the sub path ${route}`;
    if (!routes.has(route))
      warnings.push(`${place} is not in force: its repositories are judged with the store that holds them`);
    else if (!gc && retention !== undefined)
      warnings.push(`gc is off for ${place}, and so is retention: nothing would be removed`);
  }
  for (const route of routes)
    if (given[route] === undefined)
      warnings.push(
        `the sub path ${route} is not in this configuration: the policies of the default store apply`,
      );
  return warnings;
}
