import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import { eventually } from '../../../test/support/eventually.ts';
import { AwsKeySource, secretReader } from './aws-key-source.ts';

const PATIENCE_MS = 20_000;
const silent = pino({ level: 'silent' });
const publicPem = (): string =>
  String(generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }));
const header = (kid: unknown): { readonly alg: string; readonly kid: unknown } => ({ alg: 'EdDSA', kid });

/**
 * A small server that speaks the one call of AWS Secrets Manager that is used, to the real SDK. Not the real
 * service: what it does beyond this call, such as its policies, is not tried here.
 */
describe('keys of AWS Secrets Manager, by the real SDK', () => {
  let server: Server;
  let secret: unknown = {};
  let fails = false;
  const calls: { target: unknown; authorization: string; body: string }[] = [];
  const kept: Record<string, string | undefined> = {};
  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_ENDPOINT_URL_SECRETS_MANAGER'] as const;
  before(async () => {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const { authorization = '' } = request.headers;
        calls.push({ target: request.headers['x-amz-target'], authorization, body });
        response.setHeader('content-type', 'application/x-amz-json-1.1');
        if (fails)
          response.writeHead(400).end('{"__type":"ResourceNotFoundException","message":"no such secret"}');
        else response.end(JSON.stringify({ Name: 'tokens', SecretString: JSON.stringify(secret) }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    for (const name of names) kept[name] = process.env[name];
    process.env.AWS_ACCESS_KEY_ID = 'AKIATEST';
    process.env.AWS_SECRET_ACCESS_KEY = 'secret';
    process.env.AWS_ENDPOINT_URL_SECRETS_MANAGER = `http://127.0.0.1:${port}`;
  });
  after(async () => {
    for (const name of names) {
      if (kept[name] === undefined) delete process.env[name];
      else process.env[name] = kept[name];
    }
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const open = (refreshInterval = 60_000): AwsKeySource =>
    new AwsKeySource(
      secretReader({ region: 'eu-west-1', secretName: 'tokens', refreshInterval }),
      refreshInterval,
      silent,
    );

  test('are read when the first token comes, signed for, and found by kid', async () => {
    secret = { one: publicPem(), two: publicPem() };
    const source = open();
    assert.equal(calls.length, 0);
    assert.ok((await source.find(header('one'))) !== null);
    assert.ok((await source.find(header('two'))) !== null);
    assert.equal(calls.length, 1);
    assert.equal(calls[0]?.target, 'secretsmanager.GetSecretValue');
    assert.match(
      calls[0]?.authorization ?? '',
      /^AWS4-HMAC-SHA256 Credential=AKIATEST\/\d+\/eu-west-1\/secretsmanager/,
    );
    assert.deepEqual(JSON.parse(calls[0]?.body ?? ''), { SecretId: 'tokens' });
    source.close();
  });

  test('unknown and impossible names give nothing, and do not make it be read again and again', async () => {
    const source = open();
    await source.find(header('one'));
    const before = calls.length;
    for (const kid of [undefined, '', 7, ['one'], 'x'.repeat(300), '__proto__', 'three', 'four']) {
      assert.equal(await source.find(header(kid)), null);
    }
    assert.equal(calls.length, before);
    source.close();
  });

  test('are read again when they are old; a broken secret leaves the old ones in force', async () => {
    secret = { one: publicPem() };
    const source = open(1000);
    await source.find(header('one'));
    const { generation } = source;
    secret = { one: publicPem() };
    const isNew = async (): Promise<boolean> => {
      await source.find(header('one'));
      return source.generation !== generation;
    };
    await eventually(isNew, PATIENCE_MS, 'the new key is taken over');
    secret = { one: 'no key' };
    const before = calls.length;
    const isAsked = async (): Promise<boolean> => {
      assert.ok((await source.find(header('one'))) !== null);
      return calls.length > before;
    };
    await eventually(isAsked, PATIENCE_MS, 'the broken secret is read');
    assert.ok((await source.find(header('one'))) !== null);
    assert.equal(source.generation, generation + 1);
    source.close();
  });

  test('a secret that was never read is a fault, not a refusal', async () => {
    fails = true;
    const source = open();
    await assert.rejects(source.find(header('one')), /cannot be read/);
    await assert.rejects(source.find(header('one')), /cannot be read/);
    fails = false;
    source.close();
  });
});
