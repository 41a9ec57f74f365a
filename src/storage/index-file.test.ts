import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { REF_NAME } from '#oci/descriptor';
import { digestOf } from '#oci/digest';
import { OCI_MANIFEST } from '#oci/media-types';
import { parseTag, storedTag } from '#oci/reference';
import { FRESH_HEAD, descriptorJson, parseIndexFile, withoutTag } from './index-file.ts';
import type { IndexFile } from './index-file.ts';

const digest = digestOf(Buffer.from('content'));
const plain = { mediaType: OCI_MANIFEST, digest, size: 7 };

function parse(body: unknown): IndexFile {
  const parsed = parseIndexFile(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
  assert.ok(typeof parsed !== 'string', JSON.stringify(parsed));
  return parsed;
}

/** The file as the keeper writes it back. */
function rewrite(file: IndexFile): string {
  return `${file.head},"manifests":[${[...file.entries.map(({ json }) => json), ...file.unreadable].join(',')}]}`;
}

describe('index.json', () => {
  test('is read with its descriptors in order, their tags and their texts', () => {
    const tagged = { ...plain, annotations: { [REF_NAME]: 'v1', other: 'x' } };
    const file = parse({ schemaVersion: 2, manifests: [plain, tagged] });
    assert.equal(file.head, FRESH_HEAD);
    assert.deepEqual(file.unreadable, []);
    assert.deepEqual(
      file.entries.map(({ tag, json }) => [tag, JSON.parse(json)]),
      [
        [null, plain],
        ['v1', tagged],
      ],
    );
    assert.equal(file.entries[1]?.descriptor.annotations?.other, 'x');
  });

  test('as zot, skopeo, umoci and buildkit write it, is read', () => {
    assert.deepEqual(parse('{"schemaVersion":2,"manifests":null}').entries, []);
    assert.deepEqual(parse('{"schemaVersion":2}').entries, []);
    const umoci = JSON.stringify(
      { schemaVersion: 2, manifests: [{ ...plain, platform: { os: 'linux' } }] },
      null,
      2,
    );
    assert.equal(parse(`${umoci}\n`).entries.length, 1);
    const buildkit = { 'io.containerd.image.name': 'docker.io/x:1', [REF_NAME]: 'docker.io/x:1' };
    const file = parse({
      mediaType: 'x/y',
      schemaVersion: 2,
      manifests: [{ ...plain, annotations: buildkit }],
    });
    assert.equal(file.entries[0]?.tag, 'docker.io/x:1');
    assert.equal(file.head, '{"schemaVersion":2,"mediaType":"x/y"');
    assert.equal(parse({ manifests: [{ ...plain, annotations: { [REF_NAME]: '' } }] }).entries[0]?.tag, null);
  });

  test('keeps two descriptors of one tag or one digest', () => {
    const one = { ...plain, annotations: { [REF_NAME]: 'a' } };
    const file = parse({ schemaVersion: 2, manifests: [one, plain, one] });
    assert.deepEqual(
      file.entries.map(({ tag }) => tag),
      ['a', null, 'a'],
    );
  });

  test('written back keeps every member that we do not know, in any place', () => {
    const members = fc.dictionary(
      fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor')),
      fc.jsonValue(),
    );
    const manifests = fc.array(
      fc.oneof(
        members.map((more) => ({ ...more, ...plain, annotations: { [REF_NAME]: 'v1' } })),
        members.map((more) => ({ ...more, ...plain, annotations: {} })),
        fc.jsonValue(),
      ),
    );
    fc.assert(
      fc.property(members, manifests, (more, descriptors) => {
        const { manifests: _, annotations: __, ...others } = more;
        const before = JSON.parse(
          JSON.stringify({ schemaVersion: 2, ...others, manifests: descriptors }),
        ) as {
          manifests: unknown[];
        };
        const file = parse(before);
        const after = JSON.parse(rewrite(file)) as { manifests: unknown[] };
        // What cannot be read moves to the end; nothing else changes.
        const sorted = (list: unknown[]): string[] => list.map((item) => JSON.stringify(item)).toSorted();
        assert.deepEqual(sorted(after.manifests), sorted(before.manifests));
        assert.deepEqual({ ...after, manifests: [] }, { ...before, manifests: [] });
        // And a second time it is the same text.
        assert.equal(rewrite(parse(rewrite(file))), rewrite(file));
      }),
    );
  });

  test('with a descriptor that cannot be read keeps it, and serves the others', () => {
    const broken = [{ ...plain, size: -1 }, { ...plain, digest: 'sha256:short' }, 'text', null, 7, []];
    const file = parse({ schemaVersion: 2, manifests: [...broken, plain] });
    assert.equal(file.entries.length, 1);
    assert.deepEqual(
      file.unreadable.map((text) => JSON.parse(text) as unknown),
      broken,
    );
  });

  test('that is no index is described, and nothing is thrown', () => {
    const wrong: [string, RegExp][] = [
      ['', /not JSON/],
      ['\0\0\0\0', /not JSON/],
      ['{"schemaVersion":2,"manifests":[', /not JSON/],
      ['\ufeff{}', /not JSON/],
      ['null', /not a JSON object/],
      ['[]', /not a JSON object/],
      ['"text"', /not a JSON object/],
      ['{"manifests":{}}', /"manifests" is not a list/],
      ['{"manifests":"text"}', /"manifests" is not a list/],
      [`{"a":${'['.repeat(500_000)}`, /nested/],
      [`{"a":${'['.repeat(500_000)}${']'.repeat(500_000)}}`, /nested/],
    ];
    for (const [text, problem] of wrong) {
      const parsed = parseIndexFile(Buffer.from(text));
      assert.ok(typeof parsed === 'string', text.slice(0, 50));
      assert.match(parsed, problem);
    }
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void parseIndexFile(Buffer.from(bytes))));
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const parsed = parseIndexFile(Buffer.from(JSON.stringify({ manifests: value })));
        assert.equal(typeof parsed === 'string', value !== null && !Array.isArray(value));
      }),
    );
  });

  test('with bytes that are not UTF-8 is served all the same, as zot does', () => {
    const text = JSON.stringify({ schemaVersion: 2, manifests: [{ ...plain, annotations: { note: 'ü' } }] });
    const parsed = parseIndexFile(Buffer.from(text, 'latin1'));
    assert.ok(typeof parsed !== 'string');
    assert.equal(parsed.entries[0]?.descriptor.annotations?.note, '\ufffd');
  });

  test('has no members that only a prototype has', () => {
    const file = parse('{"__proto__":{"manifests":[1]},"schemaVersion":2}');
    assert.deepEqual([file.entries, file.unreadable], [[], []]);
    assert.equal(rewrite(file), '{"schemaVersion":2,"__proto__":{"manifests":[1]},"manifests":[]}');
  });
});

describe('the text of a descriptor', () => {
  test('is as zot writes it, and read back as it was', () => {
    const descriptor = { mediaType: OCI_MANIFEST, digest, sizeBytes: 7 };
    assert.equal(
      descriptorJson(descriptor, null),
      `{"mediaType":"${OCI_MANIFEST}","digest":"${digest}","size":7}`,
    );
    const tagged = descriptorJson(descriptor, parseTag('v1'));
    assert.equal(
      tagged,
      `{"mediaType":"${OCI_MANIFEST}","digest":"${digest}","size":7,"annotations":{"${REF_NAME}":"v1"}}`,
    );
    assert.equal(parse(`{"manifests":[${tagged}]}`).entries[0]?.tag, 'v1');
    // A stored tag may have any text.
    const odd = storedTag('a"b\\\u2028\ud800');
    assert.equal(parse(`{"manifests":[${descriptorJson(descriptor, odd)}]}`).entries[0]?.tag, odd);
  });

  test('without its tag keeps everything else', () => {
    const more = { platform: { os: 'linux' }, unknown: [1], annotations: { note: 'x', __proto: 'y' } };
    const text = (annotations: object): string => JSON.stringify({ ...plain, ...more, annotations });
    assert.equal(withoutTag(text({ [REF_NAME]: 'v1', ...more.annotations })), text(more.annotations));
    const { annotations: _, ...rest } = more;
    assert.equal(withoutTag(text({ [REF_NAME]: 'v1' })), JSON.stringify({ ...plain, ...rest }));
    for (const same of [JSON.stringify(plain), text(more.annotations)]) assert.equal(withoutTag(same), same);
    assert.equal(withoutTag(JSON.stringify({ ...plain, annotations: null })), JSON.stringify(plain));
  });
});
