import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { digestOf } from './digest.ts';
import type { Digest } from './digest.ts';
import { RegistryError } from './errors.ts';
import { projectManifest } from './manifest.ts';
import type { ManifestProjection } from './manifest.ts';
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_MANIFEST,
} from './media-types.ts';

const GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
const digest = (text: string): Digest => digestOf(Buffer.from(text));
const descriptor = (text: string, mediaType: string) => ({
  mediaType,
  digest: digest(text),
  size: text.length,
});
const image = {
  schemaVersion: 2,
  mediaType: OCI_MANIFEST,
  config: descriptor('config', OCI_CONFIG),
  layers: [descriptor('one', GZIP), descriptor('two', GZIP)],
};
const index = {
  schemaVersion: 2,
  mediaType: OCI_INDEX,
  manifests: [descriptor('amd64', OCI_MANIFEST), descriptor('arm64', OCI_MANIFEST)],
};

function project(body: unknown, mediaType: string = OCI_MANIFEST): ManifestProjection {
  return projectManifest(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), mediaType);
}

/** Asserts that it is refused as an invalid manifest, with a reason that fits. */
function refused(body: unknown, reason: RegExp, mediaType: string = OCI_MANIFEST): void {
  assert.throws(
    () => project(body, mediaType),
    (error) => {
      assert.ok(error instanceof RegistryError && error.code === 'MANIFEST_INVALID' && error.status === 400);
      assert.match(String(error.detail?.reason), reason);
      return true;
    },
  );
}

describe('an image manifest', () => {
  test('is read with its config and layers in order', () => {
    assert.deepEqual(project({ ...image, annotations: { a: 'b' }, unknown: [{}] }), {
      kind: 'image',
      mediaType: OCI_MANIFEST,
      references: [
        { role: 'config', digest: digest('config'), sizeBytes: 6, mediaType: OCI_CONFIG, optional: false },
        { role: 'layer', digest: digest('one'), sizeBytes: 3, mediaType: GZIP, optional: false },
        { role: 'layer', digest: digest('two'), sizeBytes: 3, mediaType: GZIP, optional: false },
      ],
      subject: null,
      artifactType: OCI_CONFIG,
      annotations: { a: 'b' },
    });
  });

  test('may leave out its own media type, and may have no layers', () => {
    const { mediaType: _, ...bare } = image;
    assert.equal(project({ ...bare, layers: [] }).references.length, 1);
    assert.equal(project({ ...bare, layers: [] }, DOCKER_MANIFEST).mediaType, DOCKER_MANIFEST);
  });

  test('need not have its non-distributable layers here', () => {
    const { references } = project({
      ...image,
      layers: [descriptor('base', FOREIGN), descriptor('one', GZIP)],
    });
    assert.deepEqual(
      references.map(({ optional }) => optional),
      [false, true, false],
    );
    // Only layers can be left out.
    const strange = project({ ...image, config: descriptor('config', FOREIGN) });
    assert.equal(strange.references[0]?.optional, false);
  });

  test('of an artifact has its artifact type, or that of its config', () => {
    const empty = { ...image, config: descriptor('{}', OCI_EMPTY), layers: [descriptor('{}', OCI_EMPTY)] };
    assert.equal(project({ ...empty, artifactType: 'application/x' }).artifactType, 'application/x');
    assert.equal(project({ ...empty, artifactType: '' }).artifactType, OCI_EMPTY);
    assert.equal(project({ ...empty, artifactType: null }).artifactType, OCI_EMPTY);
    refused({ ...empty, artifactType: 7 }, /artifactType/);
  });

  test('may have a subject, which Docker manifests do not know', () => {
    const subject = descriptor('subject', OCI_MANIFEST);
    assert.equal(project({ ...image, subject }).subject, digest('subject'));
    assert.equal(project({ ...image, subject: null }).subject, null);
    const { mediaType: _, ...bare } = image;
    assert.equal(project({ ...bare, subject }, DOCKER_MANIFEST).subject, null);
    refused({ ...image, subject: { digest: 'sha256:abc' } }, /^subject/);
    refused({ ...image, subject: 'text' }, /^subject is not a descriptor/);
  });

  test('is refused for what is missing or wrong, by its place', () => {
    refused({ ...image, config: undefined }, /^config is not a descriptor/);
    refused({ ...image, layers: undefined }, /"layers" is not a list/);
    refused({ ...image, layers: null }, /"layers" is not a list/);
    refused({ ...image, layers: [image.layers[0], { ...image.layers[1], size: -1 }] }, /^layers\[1\]\.size/);
    refused({ ...image, annotations: { a: 1 } }, /^manifest\.annotations/);
    refused({ ...image, schemaVersion: 1 }, /schemaVersion/);
    refused({ ...image, schemaVersion: '2' }, /schemaVersion/);
    refused({ ...image, mediaType: DOCKER_MANIFEST }, /mediaType member differs/);
    refused({ ...image, mediaType: null }, /mediaType member differs/);
  });
});

describe('an index', () => {
  test('is read with its children in order; duplicates and other types included', () => {
    const cache = descriptor('layer', GZIP);
    const { kind, references, artifactType } = project(
      { ...index, manifests: [...index.manifests, cache, cache] },
      OCI_INDEX,
    );
    assert.deepEqual([kind, artifactType], ['index', null]);
    assert.deepEqual(
      references.map(({ role, digest: child }) => `${role} ${child}`),
      ['amd64', 'arm64', 'layer', 'layer'].map((text) => `child ${digest(text)}`),
    );
    assert.ok(references.every(({ optional }) => !optional));
  });

  test('may be empty, as tools written in Go write it too', () => {
    assert.deepEqual(project({ ...index, manifests: [] }, OCI_INDEX).references, []);
    assert.deepEqual(project({ ...index, manifests: null }, OCI_INDEX).references, []);
    refused({ ...index, manifests: {} }, /"manifests" is not a list/, OCI_INDEX);
    refused({ ...index, manifests: undefined }, /"manifests" is not a list/, OCI_INDEX);
  });

  test('has an artifact type only of its own, and a subject unless it is Docker’s', () => {
    const subject = descriptor('subject', OCI_MANIFEST);
    const own = project({ ...index, artifactType: 'a/b', subject }, OCI_INDEX);
    assert.deepEqual([own.artifactType, own.subject], ['a/b', digest('subject')]);
    const { mediaType: _, ...bare } = index;
    assert.equal(project({ ...bare, subject }, DOCKER_LIST).subject, null);
  });
});

describe('any manifest', () => {
  test('must not be readable as another kind (CVE-2021-41190)', () => {
    for (const member of [[], null, {}, index.manifests])
      refused({ ...image, manifests: member }, /no "manifests"/);
    for (const member of [[], null, image.layers])
      refused({ ...index, layers: member }, /no "layers"/, OCI_INDEX);
    refused({ ...index, config: image.config }, /no "config"/, OCI_INDEX);
  });

  test('must be of a type that is a manifest', () => {
    for (const type of ['', OCI_CONFIG, 'application/json', '__proto__', 'x'.repeat(1000)]) {
      refused(image, /is not a manifest type/, type);
    }
  });

  test('must be a JSON object in UTF-8, without a byte order mark', () => {
    for (const text of [
      '',
      ' ',
      'null',
      '[]',
      '"text"',
      '{',
      '{}{}',
      '\ufeff{}',
      "{'a':1}",
      '{"a":1,}',
      '\0',
    ]) {
      refused(text, /it is (empty|not JSON|not a JSON object)/);
    }
  });

  test('in another encoding is refused', () => {
    const text = JSON.stringify({ ...image, annotations: { a: 'ü' } });
    assert.equal(project(text).annotations?.a, 'ü');
    for (const encoding of ['latin1', 'utf16le'] as const) {
      assert.throws(() => projectManifest(Buffer.from(text, encoding), OCI_MANIFEST), {
        code: 'MANIFEST_INVALID',
      });
    }
    // Overlong, surrogate and cut-off forms of UTF-8.
    for (const bytes of [[0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xff]]) {
      const broken = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')]);
      assert.throws(() => projectManifest(broken, OCI_MANIFEST), { code: 'MANIFEST_INVALID' });
    }
  });

  test('of 20,000 references is read, and of one more refused', () => {
    const children = Array.from({ length: 20_001 }, (_, at) => descriptor(`child ${at}`, OCI_MANIFEST));
    assert.equal(project({ ...index, manifests: children.slice(1) }, OCI_INDEX).references.length, 20_000);
    refused({ ...index, manifests: children }, /more than 20000/, OCI_INDEX);
    // The config counts.
    const layers = children.slice(1).map((child) => ({ ...child, mediaType: GZIP }));
    refused({ ...image, layers }, /more than 20000/);
  });

  test('that is nested too deeply is refused, and quickly', () => {
    const startedMs = performance.now();
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      refused(`{"a":${open.repeat(800_000)}1${close.repeat(800_000)}}`, /nested/);
      refused(open.repeat(800_000), /nested/);
    }
    assert.ok(performance.now() - startedMs < 2000);
  });

  test('may have members that objects have by nature, and they change nothing', () => {
    const text = JSON.stringify({ ...image, annotations: { a: 'b' } });
    const hostile = `{"__proto__":{"subject":{},"artifactType":"a/b"},"constructor":1,${text.slice(1)}`;
    assert.deepEqual(project(hostile), project(text));
    // Inherited members must not stand in for missing ones.
    const missing = JSON.stringify({ schemaVersion: 2, config: image.config });
    refused(`{"__proto__":{"layers":[]},${missing.slice(1)}`, /"layers"/);
    refused(`{"__proto__":${text}}`, /schemaVersion/);
  });

  test('of any bytes is read or refused as MANIFEST_INVALID, and nothing else is thrown', () => {
    const types = fc.constantFrom(OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, OCI_CONFIG, '');
    const junk = fc.oneof(fc.jsonValue(), fc.constantFrom(...image.layers, image.config, [], null, ''));
    const keys = [
      'schemaVersion',
      'mediaType',
      'config',
      'layers',
      'manifests',
      'subject',
      'artifactType',
      'annotations',
    ];
    const damaged = fc
      .tuple(
        fc.constantFrom<object>(image, index),
        fc.dictionary(fc.constantFrom(...keys, '__proto__'), junk),
      )
      .map(([sound, changes]) => Buffer.from(JSON.stringify({ ...sound, ...changes })));
    const flipped = fc
      .tuple(fc.constantFrom<object>(image, index), fc.nat(), fc.nat(255))
      .map(([sound, at, byte]) => {
        const bytes = Buffer.from(JSON.stringify(sound));
        bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(damaged, flipped, fc.uint8Array()), types, (bytes, type) => {
        try {
          const { references, subject } = projectManifest(bytes, type);
          assert.ok(references.length <= 20_000 && (subject === null || subject.length > 64));
        } catch (error) {
          assert.ok(error instanceof RegistryError && error.code === 'MANIFEST_INVALID', String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
