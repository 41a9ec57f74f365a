import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResponseParser, type Answer } from './response-parser.ts';

/** Feeds the text in pieces of so many bytes and gives the answer, which must come with the last piece. */
function parse(text: string, pieceBytes: number, headOnly = false): Answer {
  const parser = new ResponseParser();
  parser.expect({ headOnly, keepBody: true });
  const bytes = Buffer.from(text);
  let answer: Answer | null = null;
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    assert.equal(answer, null, 'an answer before its end');
    answer = parser.push(bytes.subarray(at, at + pieceBytes));
  }
  assert.ok(answer !== null, 'no answer');
  return answer;
}

const SIZED = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello';
const CHUNKED =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n';

test('reads sized and chunked bodies, however the bytes are cut', () => {
  for (const text of [SIZED, CHUNKED]) {
    for (let pieceBytes = 1; pieceBytes <= text.length; pieceBytes += 1) {
      const answer = parse(text, pieceBytes);
      assert.equal(answer.status, 200);
      assert.equal(answer.bodyBytes, 5);
      assert.equal(answer.body?.toString(), 'hello');
    }
  }
});

test('answers without a body end with their head', () => {
  assert.equal(parse('HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n', 9, true).bodyBytes, 0);
  assert.equal(parse('HTTP/1.1 204 No Content\r\n\r\n', 100).status, 204);
  assert.equal(parse('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n', 100).status, 404);
});

test('skips interim answers and tells the location of an upload', () => {
  const upload = 'HTTP/1.1 202 Accepted\r\nLocation: /v2/a/blobs/uploads/1?x=y\r\nContent-Length: 0\r\n\r\n';
  const answer = parse(`HTTP/1.1 100 Continue\r\n\r\n${upload}`, 7);
  assert.equal(answer.status, 202);
  assert.equal(answer.location, '/v2/a/blobs/uploads/1?x=y');
});

test('refuses what would make it lose its place', () => {
  const parser = new ResponseParser();
  assert.throws(() => parser.push(Buffer.from('HTTP/1.1 200')), /no request asked for/);
  parser.expect({ headOnly: false, keepBody: false });
  assert.throws(() => parser.expect({ headOnly: false, keepBody: false }), /not complete/);
  assert.throws(() => parser.push(Buffer.from(`${SIZED}!`)), /more bytes/);
  const unframed = new ResponseParser();
  unframed.expect({ headOnly: false, keepBody: false });
  assert.throws(() => unframed.push(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')), /neither/);
});
