import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJunit } from './junit.ts';

const report = `<testsuites time="1.0" tests="3" skipped="1" disabled="1">
  <testsuite name="OCI Conformance Test" tests="3">
    <properties><property name="Config" value="a: &#34;b&#34;&#xA;"></property></properties>
    <testcase name="OCI/blobs/get" classname="" time="0.1" status="passed">
      <system-err>GET /v2/ &lt;200&gt;</system-err>
    </testcase>
    <testcase name="OCI/blobs/get" classname="" time="0.1" status="failure">
      <system-out>expected &#34;201&#34;&#xA;got 500</system-out>
      <system-err>PUT</system-err>
    </testcase>
    <testcase name="OCI/sparse" classname="" time="0.1" status="skipped">
      <system-err>OCI/sparse: skipping test:&#xA;  api is disabled</system-err>
    </testcase>
    <testcase name="OCI/engine" classname="" time="0.1" status="error"></testcase>
  </testsuite>
</testsuites>`;

test('reads names, states, reasons and the recorded exchange', () => {
  assert.deepEqual(parseJunit(report), [
    { name: 'OCI/blobs/get', status: 'passed', reason: '', exchange: 'GET /v2/ <200>' },
    { name: 'OCI/blobs/get #2', status: 'failed', reason: 'expected "201"\ngot 500', exchange: 'PUT' },
    {
      name: 'OCI/sparse',
      status: 'skipped',
      reason: 'api is disabled',
      exchange: 'OCI/sparse: skipping test:\n  api is disabled',
    },
    { name: 'OCI/engine', status: 'failed', reason: '', exchange: '' },
  ]);
});

test('a report without cases is an error, not a success', () => {
  assert.throws(() => parseJunit('<testsuites></testsuites>'), /no test case/);
});
