import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError, StorageError } from '#registry';
import { wordsOf } from './changing.ts';

test('refusals of the registry name what they are about', () => {
  const unknown = new RegistryError('NAME_UNKNOWN', { detail: { name: 'team/app' } });
  assert.equal(wordsOf(unknown), 'there is no repository team/app');
  const full = new RegistryError('INSUFFICIENT_STORAGE', { detail: { free: 2048, required: 1024 * 1024 } });
  assert.match(wordsOf(full), /: 2\.0 KiB are free, 1\.0 MiB are needed with storage\.minFreeSpace$/);
  assert.equal(wordsOf(new RegistryError('DENIED')), 'requested access to the resource is denied');
});

test('faults of the storage say once what the system said, and where', () => {
  const cause = new Error('ENOSPC: no space left on device, write');
  const fault = new StorageError('full', 'team/app/index.json', { cause });
  assert.equal(wordsOf(fault), 'ENOSPC: no space left on device, write, at team/app/index.json');
  assert.equal(wordsOf(new StorageError('missing', 'team/app')), 'missing: team/app');
});
