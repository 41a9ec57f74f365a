import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectLicenses } from './licenses.ts';

test('the text holds the licence of the project, of each package and of Node', () => {
  const text = collectLicenses(['fastify', 'zod'], process.execPath);
  assert.match(text, /^=+\nzot\n=+\n\n\s+Apache License/m);
  assert.match(text, /^fastify \d+\.\d+\.\d+\n=+\n\n[^=]*MIT License[^=]*Permission is hereby granted/m);
  assert.match(text, /^zod \d/m);
  assert.match(text, /^Node\.js\n=+\n[^]*V8/m);
});
