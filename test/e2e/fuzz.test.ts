import assert from 'node:assert/strict';
import process from 'node:process';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import {
  imageOf,
  indexOf,
  descriptorOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushImage,
  startUpload,
} from './support/content.ts';
import { exchange } from './support/raw.ts';
import { serveRegistry, type Served } from './support/served.ts';

/** `FUZZ_RUNS=100000 npm test` looks longer. */
const numRuns = Number(process.env['FUZZ_RUNS'] ?? '500');

let served: Served;
const image = imageOf('fuzz');
const { digest } = image.manifest;
const layer = image.layers[0]?.digest ?? '';
let session = '';

before(async () => {
  served = await serveRegistry({ http: { compat: ['docker2s2'] } });
  await pushImage(served, 'f', image, 'v1');
  await pushImage(served, 'f/g', image, 'v1');
  session = (await startUpload(served, 'f')).split('/').at(-1) ?? '';
});
after(() => served.close());

const methods = fc.constantFrom(
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'QUERY',
  'FOO',
);
const hex = 'a'.repeat(64);
const names = fc.constantFrom(
  'f',
  'f/g',
  'new',
  'F',
  '..',
  'f//g',
  'f%2fg',
  '_x',
  'a/blobs',
  '',
  '%',
  'é',
  `${'x'.repeat(300)}`,
);
const references = fc.constantFrom(
  'v1',
  'none',
  digest,
  layer,
  `sha256:${hex}`,
  `sha512:${hex}${hex}`,
  'sha256:',
  'sha256:x',
  '%',
  '%00',
  '..',
  '',
  '%0d%0a',
  'a'.repeat(129),
  '@',
  'list',
  'uploads',
);
const ids = fc.oneof(
  fc.constantFrom('', 'x', '00000000-0000-4000-8000-000000000000'),
  fc.constant('SESSION'),
);
const routes = fc.oneof(
  fc.tuple(names, references).map(([name, reference]) => `/v2/${name}/manifests/${reference}`),
  fc.tuple(names, references).map(([name, reference]) => `/v2/${name}/blobs/${reference}`),
  fc.tuple(names, references).map(([name, reference]) => `/v2/${name}/referrers/${reference}`),
  fc.tuple(names, ids).map(([name, id]) => `/v2/${name}/blobs/uploads/${id}`),
  names.map((name) => `/v2/${name}/tags/list`),
  fc.constantFrom(
    '/v2/',
    '/v2',
    '/',
    '/v2/_catalog',
    '/v2/_oci/ext/discover',
    '/livez',
    '*',
    'http://x/v2/',
    '//v2//',
  ),
  fc
    .array(
      fc.constantFrom('/', 'v2', '.', '..', '%', '%2f', '\\', ';', 'blobs', 'manifests', 'f', '\u00ff'),
      {
        maxLength: 10,
      },
    )
    .map((parts) => `/${parts.join('')}`),
);
const values = fc.constantFrom(
  '',
  '0',
  '1',
  '-1',
  'x',
  digest,
  layer,
  `sha256:${hex}`,
  'v1',
  'f',
  '%',
  '%00',
  '%0d%0a',
  'a=b',
);
const queries = fc
  .array(
    fc.tuple(
      fc.constantFrom('n', 'last', 'digest', 'mount', 'from', 'tag', 'artifactType', '__proto__', ''),
      values,
    ),
    {
      maxLength: 4,
    },
  )
  .map((pairs) => (pairs.length === 0 ? '' : `?${pairs.map(([key, value]) => `${key}=${value}`).join('&')}`));
const headerValues = fc.constantFrom(
  '',
  '0-0',
  '5-3',
  'bytes=0-',
  'bytes=0-0,2-2',
  'bytes=-0',
  'x',
  `"${digest}"`,
  '*',
  'a/b',
  OCI_MANIFEST,
  OCI_INDEX,
  'application/octet-stream',
  '\u00e9',
  'x'.repeat(500),
  'multipart/form-data; boundary=',
  ';',
  'Basic !',
  'Bearer x',
);
const headers = fc.array(
  fc.tuple(
    fc.constantFrom(
      'Range',
      'Content-Range',
      'Content-Type',
      'If-None-Match',
      'If-Range',
      'Accept',
      'Origin',
      'X-Request-Id',
      'Authorization',
      'Expect',
      'Cookie',
      'X-Forwarded-For',
      'X-ZOT-API-CLIENT',
      'Accept-Encoding',
      'Upgrade',
    ),
    headerValues,
  ),
  { maxLength: 5 },
);
const bodies = fc.oneof(
  fc.constant(''),
  fc.constantFrom(
    image.manifest.bytes.toString(),
    indexOf([descriptorOf(image.manifest)]).bytes.toString(),
    '{}',
    'null',
  ),
  fc.json(),
  fc.string({ unit: 'binary-ascii', maxLength: 200 }),
);

interface Asked {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly isChunked: boolean;
}

const requests: fc.Arbitrary<Asked> = fc
  .tuple(methods, routes, queries, headers, bodies, fc.boolean())
  .map(([method, route, query, list, body, isChunked]) => {
    const target = `${route.replace('SESSION', session)}${query}`;
    return { method, target, headers: list, body, isChunked };
  });

function textOf({ method, target, headers: list, body, isChunked }: Asked): Buffer {
  const bytes = Buffer.from(body, 'utf8');
  const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes.length}`;
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: registry', 'Connection: close', framing];
  const head = [...lines, ...list.map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n');
  const last = Buffer.from('0\r\n\r\n');
  const size = Buffer.from(`${bytes.length.toString(16)}\r\n`);
  const chunk = bytes.length === 0 ? last : Buffer.concat([size, bytes, Buffer.from('\r\n'), last]);
  return Buffer.concat([Buffer.from(head, 'latin1'), isChunked ? chunk : bytes]);
}

test('no request whatever is answered by 500, left without an answer, or refused in another form', async () => {
  await fc.assert(
    fc.asyncProperty(requests, async (asked) => {
      const text = await exchange(served.port, textOf(asked), 8000);
      const answer = text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
      const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
      assert.ok(status >= 200 && status < 500, answer.slice(0, 500));
      const [head = '', ...rest] = answer.split('\r\n\r\n');
      const body = rest.join('\r\n\r\n');
      assert.doesNotMatch(head, /\n(?!\w)/);
      if (asked.method === 'HEAD') assert.equal(body, '');
      else if (status >= 400) {
        const { errors } = JSON.parse(Buffer.from(body, 'latin1').toString()) as {
          errors: Record<string, unknown>[];
        };
        assert.equal(errors.length, 1);
        assert.match(String(errors[0]?.code), /^[A-Z_]+$/);
        assert.equal(
          typeof (errors[0]?.['detail'] as { description?: unknown } | undefined)?.description,
          'string',
        );
        assert.match(head, /content-type: application\/json\r?$/im);
      }
    }),
    { numRuns, interruptAfterTimeLimit: 90_000, markInterruptAsFailure: false },
  );
});

test('after all of it the registry still serves what was pushed', async () => {
  const answer = await served.request('GET', `/v2/f/g/manifests/${digest}`);
  assert.ok([200, 404].includes(answer.status));
  await pushImage(served, 'f', image, 'v1');
  assert.deepEqual((await served.request('GET', '/v2/f/manifests/v1')).body, image.manifest.bytes);
});

test('any bytes at all get an answer or an end', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .array(
        fc.constantFrom(
          'GET ',
          '/v2/',
          ' HTTP/1.1',
          '\r\n',
          '\n',
          '\r',
          ':',
          ' ',
          '\0',
          'Content-Length: 5',
          'Host: x',
          'a',
        ),
        {
          maxLength: 30,
        },
      )
      .map((parts) => Buffer.from(parts.join(''))),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (data) => {
      // The end of headers, so that nothing waits for more of them.
      const text = await exchange(served.port, Buffer.concat([data, Buffer.from('\r\n\r\nX\r\n\r\n')]), 8000);
      assert.ok(!text.startsWith('HTTP/1.1 5'), text.slice(0, 200));
    }),
    { numRuns, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
  );
});
