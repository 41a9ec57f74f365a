import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { TestAuthority } from '../../../test/support/client-certificates.ts';
import { findProgram } from '../../../tools/debian-tools.ts';
import type { ClientCertificateOptions } from '../../../test/support/client-certificates.ts';
import { compileIdentity } from './certificate-identity.ts';
import { certificateNames } from './certificate-names.ts';
import { DerError } from '../der.ts';
import { subjectText } from './subject-text.ts';

const skip = (await findProgram('openssl')) === null ? 'openssl is not installed' : false;

const SPIFFE = 'URI:spiffe://example.org/ns/ci/sa/builder, URI:spiffe://example.org/ns/ci/sa/second';

describe('the user in a certificate', { skip }, () => {
  let folder = '';
  let authority: TestAuthority;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zot-mtls-'));
    authority = await TestAuthority.make(folder, 'test');
  });
  after(() => rm(folder, { recursive: true }));

  async function der(options: ClientCertificateOptions): Promise<Buffer> {
    const { cert } = await authority.sign(options);
    return new X509Certificate(await readFile(cert)).raw;
  }

  type Mtls = Parameters<typeof compileIdentity>[0];
  const mtls = (changes: Partial<NonNullable<Mtls>>): Mtls => ({
    identityAttributes: ['CommonName'],
    uriSanPattern: '',
    uriSanIndex: 0,
    dnsSanIndex: 0,
    emailSanIndex: 0,
    ...changes,
  });

  test('is the common name unless told otherwise, the last one of several', async () => {
    const read = compileIdentity(undefined);
    assert.equal(read(await der({ subject: '/O=Acme/CN=alice' })), 'alice');
    assert.equal(read(await der({ subject: '/CN=first/CN=last' })), 'last');
    assert.equal(read(await der({ subject: '/CN=Jürgen Groß' })), 'Jürgen Groß');
    assert.equal(read(await der({ subject: '/O=Acme' })), null);
    assert.equal(read(await der({})), null);
  });

  test('is the first attribute that is there, in the order of the configuration', async () => {
    const attributes = ['URI', 'email', 'DNSName', 'Subject'];
    const read = compileIdentity(mtls({ identityAttributes: attributes }));
    const subject = '/O=Acme/CN=alice';
    assert.equal(
      read(await der({ subject, alternativeNames: SPIFFE })),
      'spiffe://example.org/ns/ci/sa/builder',
    );
    assert.equal(
      read(await der({ subject, alternativeNames: 'DNS:host.example, email:a@example.org' })),
      'a@example.org',
    );
    assert.equal(read(await der({ subject, alternativeNames: 'DNS:host.example' })), 'host.example');
    assert.equal(read(await der({ subject })), 'CN=alice,O=Acme');
    for (const name of [' CN ', 'commonname', 'CommonName']) {
      assert.equal(compileIdentity(mtls({ identityAttributes: [name] }))(await der({ subject })), 'alice');
    }
  });

  test('is the group of a pattern in a URI, or the next attribute', async () => {
    const identityAttributes = ['URI', 'CommonName'];
    const certificate = await der({ subject: '/CN=fallback', alternativeNames: SPIFFE });
    const read = (changes: Partial<NonNullable<Mtls>>): string | null =>
      compileIdentity(mtls({ identityAttributes, ...changes }))(certificate);
    assert.equal(read({ uriSanPattern: 'spiffe://example.org/ns/.*/sa/(.*)' }), 'builder');
    assert.equal(read({ uriSanPattern: 'spiffe://example.org/ns/.*/sa/(.*)', uriSanIndex: 1 }), 'second');
    assert.equal(read({ uriSanPattern: 'spiffe://other.org/(.*)' }), 'fallback');
    assert.equal(read({ uriSanPattern: 'spiffe://.*' }), 'fallback', 'a pattern without a group');
    assert.equal(read({ uriSanIndex: 2 }), 'fallback');
    assert.throws(() => read({ uriSanPattern: '(' }), /uriSanPattern/);
  });

  test('is chosen by its place among several', async () => {
    const alternativeNames = 'DNS:a.example, DNS:b.example, email:a@x, email:b@x';
    const certificate = await der({ alternativeNames });
    assert.equal(
      compileIdentity(mtls({ identityAttributes: ['DNS'], dnsSanIndex: 1 }))(certificate),
      'b.example',
    );
    assert.equal(
      compileIdentity(mtls({ identityAttributes: ['Email'], emailSanIndex: 1 }))(certificate),
      'b@x',
    );
    assert.equal(
      compileIdentity(mtls({ identityAttributes: ['Email'], emailSanIndex: 9 }))(certificate),
      null,
    );
  });

  test('has the subject as zot writes it, whatever the order in the certificate', async () => {
    const read = compileIdentity(mtls({ identityAttributes: ['DN'] }));
    // Each as a program with Go's library prints it.
    const subjects = {
      '/CN=n/OU=u/O=o/L=l/ST=t/C=DE/serialNumber=5/street=s/postalCode=p/DC=x/title=y':
        'SERIALNUMBER=5,CN=n,OU=u,O=o,POSTALCODE=p,STREET=s,L=l,ST=t,C=DE,' +
        '2.5.4.12=#130179,0.9.2342.19200300.100.1.25=#130178',
      '/C=DE/ST=There/L=Here/O=Acme, Inc./OU=a/OU=b/CN=alice':
        'CN=alice,OU=a+OU=b,O=Acme\\, Inc.,L=Here,ST=There,C=DE',
      '/CN=alice/DC=example/emailAddress=a@b.c':
        'CN=alice,1.2.840.113549.1.9.1=#0c056140622e63,0.9.2342.19200300.100.1.25=#13076578616d706c65',
      '/CN=Jürgen/title=Dr*&_/description=é': 'CN=Jürgen,2.5.4.13=#0c02c3a9,2.5.4.12=#0c0544722a265f',
      '/CN=a/CN=b': 'CN=b',
    };
    for (const [subject, expected] of Object.entries(subjects))
      assert.equal(read(await der({ subject })), expected);
  });

  test('is none with control characters, which would forge lines of logs and headers', async () => {
    assert.equal(compileIdentity(undefined)(await der({ subject: '/CN=alice\nroot' })), null);
  });

  test('can be looked for in any bytes', async () => {
    const whole = await der({ subject: '/O=Acme/CN=alice', alternativeNames: SPIFFE });
    const broken = fc.tuple(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length));
    fc.assert(
      fc.property(broken, ([at, byte, length]) => {
        const bytes = Buffer.from(whole.subarray(0, length));
        if (at < bytes.length) bytes[at] = byte;
        try {
          certificateNames(bytes);
        } catch (error) {
          assert.ok(error instanceof DerError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});

test('the text of a subject escapes what has a meaning in it (RFC 2253)', () => {
  const attribute = (text: string | null) => ({ oid: '2.5.4.3', text, der: Buffer.from([4, 1, 0x61]) });
  const texts: readonly (readonly [string, string])[] = [
    ['a,b+c"d\\e<f>g;h', 'CN=a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h'],
    [' a b ', 'CN=\\ a b\\ '],
    [' ', 'CN=\\ '],
    ['#a#', 'CN=\\#a#'],
    ['ä', 'CN=ä'],
  ];
  for (const [text, expected] of texts) assert.equal(subjectText([attribute(text)]), expected);
  assert.equal(subjectText([attribute(null)]), 'CN=#040161');
  assert.equal(subjectText([]), '');
});
