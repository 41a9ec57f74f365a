import type { StoreConfig } from '#config';
import { ControlRefusal } from './contract.ts';

/** The keys of a store by which retention is judged. */
export type RetentionText = Pick<StoreConfig, 'gc' | 'gcDelay' | 'gcInterval' | 'gcTimeWindow' | 'retention'>;

type Shape = (value: unknown) => boolean;

const isText: Shape = (value) => typeof value === 'string';
const isFlag: Shape = (value) => typeof value === 'boolean';
const isNumber: Shape = (value) => typeof value === 'number' && Number.isFinite(value);
const optional =
  (shape: Shape): Shape =>
  (value) =>
    value === undefined || shape(value);
const listOf =
  (shape: Shape): Shape =>
  (value) =>
    Array.isArray(value) && value.every(shape);
const sectionOf =
  (members: Readonly<Record<string, Shape>>): Shape =>
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(members).every(([name, shape]) => shape(Reflect.get(value, name)));

const rules = {
  mostRecentlyPushedCount: isNumber,
  mostRecentlyPulledCount: isNumber,
  pulledWithin: optional(isNumber),
  pushedWithin: optional(isNumber),
};
const policy = sectionOf({
  repositories: listOf(isText),
  deleteReferrers: isFlag,
  deleteUntagged: isFlag,
  keepTags: listOf(sectionOf({ patterns: listOf(isText), ...rules })),
  keepUntagged: optional(sectionOf(rules)),
});
const store = sectionOf({
  gc: isFlag,
  gcDelay: isNumber,
  gcInterval: isNumber,
  gcTimeWindow: isText,
  retention: optional(sectionOf({ dryRun: isFlag, delay: isNumber, policies: listOf(policy) })),
});

/** What a command sends of a configuration that is not in force: the retention of its stores, by route. */
export function retentionOf(value: unknown): Readonly<Record<string, RetentionText>> {
  if (typeof value === 'object' && value !== null && Object.values(value).every(store))
    // The shapes above are those of the type.
    return value as Readonly<Record<string, RetentionText>>;
  throw new ControlRefusal('the policies cannot be read: is the server of another version?');
}
