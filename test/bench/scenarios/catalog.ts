import { numberedRepository } from '../fixtures/stores.ts';
import { backgroundScenarios } from './background.ts';
import { blobScenarios, hugeBlob } from './blobs.ts';
import { dedupedPush } from './deduped-push.ts';
import { imageScenarios } from './images.ts';
import { manifestScenarios } from './manifests.ts';
import type { Scenario, StartScenario } from './scenario.ts';

const startScenarios: StartScenario[] = [
  { store: 'empty', title: 'an empty store', path: '/v2/' },
  {
    store: 'repositories-1000',
    title: '1000 repositories',
    path: `/v2/${numberedRepository(999)}/manifests/t0`,
  },
  {
    store: 'repositories-10000',
    title: '10000 repositories',
    path: `/v2/${numberedRepository(9999)}/manifests/t0`,
  },
  {
    store: 'tags',
    title: 'repositories of 1, 10000 and 100000 tags',
    path: '/v2/bench/tags-10000/manifests/t9999',
  },
  {
    store: 'crowd',
    title: 'very many tiny blobs (as many as --crowd says)',
    path: `/v2/${numberedRepository(39)}/manifests/t0`,
  },
].map(({ store, title, path }) => ({
  kind: 'start',
  name: `start-${store}`,
  title: `Start to the first answer (${path}) with ${title}; cold: ours without its index.db`,
  store: store as StartScenario['store'],
  path,
}));

/** All scenarios in the order in which they run: those that leave their store as it was come first. */
export function allScenarios({ hugeBytes }: { hugeBytes: number }): Scenario[] {
  const [pushManyTags, ...images] = [...imageScenarios].reverse();
  const ordered: Scenario[] = [
    ...manifestScenarios,
    ...blobScenarios,
    dedupedPush,
    ...images.reverse(),
    ...startScenarios,
    ...backgroundScenarios,
  ];
  return [...ordered, ...(pushManyTags === undefined ? [] : [pushManyTags]), hugeBlob(hugeBytes)];
}

/** The scenarios whose names match any glob (`*` only); all when there are none. Throws for a glob without match. */
export function selectScenarios(scenarios: Scenario[], globs: string[]): Scenario[] {
  if (globs.length === 0) return scenarios;
  const patterns = globs.map(
    (glob) =>
      new RegExp(
        `^${glob
          .split('*')
          .map((text) => RegExp.escape(text))
          .join('.*')}$`,
      ),
  );
  globs.forEach((glob, index) => {
    if (!scenarios.some((scenario) => patterns[index]?.test(scenario.name))) {
      throw new Error(`--scenario ${glob}: no scenario has this name; see --list`);
    }
  });
  return scenarios.filter((scenario) => patterns.some((pattern) => pattern.test(scenario.name)));
}
