import { configFromObject } from '#config';
import { digestOf } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { OCI_MANIFEST } from '#oci/media-types';
import { parseTag, readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import type { LocalKeeper } from '#registry';
import { gcSettings } from '#tasks';
import type { SweepParts, SweepReport } from '#tasks';
import { bodyOf } from '../gc/actor.ts';
import type { CollectedRegistry } from '../gc/collected-registry.ts';

export const REPO = parseRepoName('team/app');
const EMPTY = Buffer.from('{}');
export const HOUR_MS = 3_600_000;

/** Sections of a policy, as a configuration has them. */
export interface PolicyText {
  readonly keepTags?: readonly unknown[];
  readonly keepUntagged?: unknown;
  readonly deleteUntagged?: boolean;
  readonly deleteReferrers?: boolean;
}

/** A registry with small images, whose clock a test moves, under a policy of retention. */
export class RetainedRegistry {
  readonly collected: CollectedRegistry;

  constructor(collected: CollectedRegistry) {
    this.collected = collected;
  }

  get keeper(): LocalKeeper {
    return this.collected.opened.keeper;
  }

  /** The bytes of a manifest that nothing else has. */
  manifest(content: string, more: Record<string, unknown> = {}): Buffer {
    const config = {
      mediaType: 'application/vnd.oci.empty.v1+json',
      digest: digestOf(EMPTY),
      size: EMPTY.length,
    };
    const annotations = { content };
    const members = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [], annotations, ...more };
    return Buffer.from(JSON.stringify(members));
  }

  /** Pushes an image under a tag, or by digest; equal contents are equal images. */
  async push(
    reference: string | null,
    content = reference ?? '',
    more: Record<string, unknown> = {},
    repo: RepoName = REPO,
  ): Promise<Digest> {
    const { registry } = this.collected.opened;
    const digest = digestOf(EMPTY);
    if ((await registry.statBlob(repo, digest).catch(() => null)) === null) {
      const upload = { repo, id: await registry.uploads.start(repo) };
      await registry.uploads.finish(upload, digest, { source: bodyOf(EMPTY), offset: 0 });
    }
    const bytes = this.manifest(content, more);
    const own = digestOf(bytes);
    const push = {
      repo,
      reference: readReference(reference ?? own),
      mediaType: OCI_MANIFEST,
      bytes,
      tags: [],
    };
    await registry.pushManifest(push);
    return own;
  }

  /** One pull, which the keeper hears of at once. */
  async pull(digest: Digest, repo: RepoName = REPO): Promise<void> {
    await this.keeper.addPulls([{ repo, digest, pulls: 1, lastPullMs: this.collected.clock.nowMs() }]);
  }

  deleteTag(tag: string): Promise<void> {
    const reference = { kind: 'tag', tag: parseTag(tag) } as const;
    return this.collected.opened.registry.deleteManifest(REPO, reference);
  }

  async has(digest: Digest, repo: RepoName = REPO): Promise<boolean> {
    return (await this.collected.opened.index.findManifest(repo, { kind: 'digest', digest })) !== null;
  }

  async tags(repo: RepoName = REPO): Promise<readonly string[]> {
    return this.collected.opened.index.listTags(repo, { after: '', limit: 1000 });
  }

  pass(hours: number): void {
    this.collected.clock.advance(hours * HOUR_MS);
  }

  /** One sweep under a policy for all repositories; its report. */
  sweep(policy: PolicyText, more: Partial<SweepParts> = {}): Promise<SweepReport> {
    return this.collected.sweep(undefined, { settings: settingsOf(policy), ...more });
  }
}

const compiled = new Map<string, SweepParts['settings']>();

/** Settings by what they say, the same ones each time, as a server has them that is not reloaded. */
export function settingsOf(policy: PolicyText, more: Record<string, unknown> = {}): SweepParts['settings'] {
  const key = JSON.stringify([policy, more]);
  const retention = { policies: [{ repositories: ['**'], ...policy }], ...more };
  const config = { storage: { rootDirectory: '/tmp/zot', gcDelay: '1h', retention } };
  const settings = compiled.get(key) ?? gcSettings(configFromObject(config).config.storage);
  compiled.set(key, settings);
  return settings;
}
