import { writeFileSync } from 'node:fs';
import { ERROR_TABLE, type ErrorCode } from '../src/oci/errors.ts';

/**
 * Writes docs/errors.md: codes, statuses and messages from the table of the program, the rest from below. Run it after
 * a change of the table: `node tools/docs-errors.ts`. A test fails while the page is stale.
 */
export const pageFile = new URL('../docs/errors.md', import.meta.url);

interface Explanation {
  /** Statuses besides the table's, each with the case it is for. */
  readonly also?: string;
  readonly when: string;
  readonly remedy: string;
  /** Members of `detail` besides `description`. */
  readonly detail?: string;
}

const EXPLANATIONS: Readonly<Record<ErrorCode, Explanation>> = {
  BLOB_UNKNOWN: {
    when:
      'The repository does not hold this blob, or its stored bytes are known to be damaged: then `reason` says so, ' +
      'and clients that have it push it again, which mends it.',
    remedy: 'Push the blob.',
    detail: '`digest`; `reason`: `damaged`',
  },
  BLOB_UPLOAD_INVALID: {
    also:
      '416: a chunk does not begin where the last one ended, or its Content-Range is malformed; 409: ' +
      'another request writes to the upload',
    when: 'A piece of an upload cannot be taken.',
    remedy: 'Ask for the state of the upload (GET of its Location) and go on from there.',
    detail: '`session_id`, `size`',
  },
  BLOB_UPLOAD_UNKNOWN: {
    when:
      'There is no such upload in this repository: it was finished, cancelled, removed as old, or ' +
      'begun by somebody else.',
    remedy: 'Begin a new upload.',
    detail: '`session_id`',
  },
  DIGEST_INVALID: {
    when: 'A digest is malformed or of an unknown algorithm, or the content does not have it.',
    remedy: 'Send the right digest; an upload in pieces stays and can be finished again.',
    detail: '`digest` or `reference`, `actual`',
  },
  MANIFEST_BLOB_UNKNOWN: {
    when: 'A manifest refers to blobs or manifests that the repository lacks.',
    remedy: 'Push what is named first.',
    detail: '`missing`: up to 20 digests; `digest`: the same, joined by commas',
  },
  MANIFEST_INVALID: {
    also:
      '413: larger than `http.maxManifestSize`; 414: more than 46 `tag` parameters; 415: the ' +
      'Content-Type is not accepted',
    when: 'The body is no manifest of its media type, or a tag is malformed.',
    remedy: 'Correct what the message names. For Docker’s media types see `http.compat`.',
    detail: '`reason`, `mediaType`, `tag`, `digest` with `expected` and `actual`',
  },
  MANIFEST_UNKNOWN: {
    when:
      'The repository has no such tag or manifest, or its stored bytes are known to be damaged: then `reason` says ' +
      'so, and clients that have it push it again, which mends it.',
    remedy: 'Look at the tags of the repository.',
    detail: '`reference`; for damage `reason`: `damaged`, and `digest`',
  },
  NAME_INVALID: {
    when: 'The name of the repository is malformed, or longer than 255 characters.',
    remedy: 'Choose another name.',
    detail: '`name`',
  },
  NAME_UNKNOWN: { when: 'There is no such repository.', remedy: 'Push something into it.', detail: '`name`' },
  SIZE_INVALID: {
    when: 'A body is longer or shorter than announced, or its Content-Length is malformed.',
    remedy: 'Send the whole body; what arrived of an upload in pieces is kept.',
    detail: '`expected`, `received`',
  },
  UNAUTHORIZED: {
    when: 'Nobody is signed in, or the credentials are wrong. `WWW-Authenticate` says how to sign in.',
    remedy: 'Sign in.',
  },
  DENIED: {
    also: '405: something is in use (a manifest that an index lists, a blob that a manifest needs)',
    when: 'Who is signed in may not do this.',
    remedy:
      'Ask the operator; `zot access explain` tells them which rule decided. Delete first what uses it (405).',
    detail: '`reason`; `reference` with `index`, `digest` with `manifest` (405)',
  },
  UNSUPPORTED: {
    when: 'The registry is in read-only mode (`storage.readOnly`), or does not offer the operation.',
    remedy: 'Use another registry for writing.',
  },
  TOOMANYREQUESTS: {
    when: 'A limit of requests, sign-ins or repositories is reached.',
    remedy: 'Wait for the seconds of `Retry-After`.',
  },
  NOT_FOUND: {
    when: 'The path leads to no route; a trailing slash and encoded slashes count.',
    remedy: 'Correct the path.',
  },
  METHOD_NOT_ALLOWED: {
    when: 'The path does not know the method; `Allow` lists those it knows.',
    remedy: 'Correct the method.',
  },
  REQUEST_INVALID: {
    also: '414: a part of the path is too long; 431: more than 64 KiB of headers',
    when: 'The request is no well-formed HTTP, a parameter is malformed or given twice, or the body broke off.',
    remedy: 'Correct the request.',
  },
  REQUEST_TIMEOUT: {
    when:
      'Headers or body did not make progress within `http.idleTimeout`. What arrived of an upload in ' +
      'pieces is kept.',
    remedy: 'Go on with the upload on a new connection.',
  },
  RANGE_INVALID: {
    when: 'Nothing of the range exists, or it is malformed; `Content-Range` tells the size.',
    remedy: 'Correct the range.',
    detail: '`digest`, `size`',
  },
  INSUFFICIENT_STORAGE: {
    when: 'The disk is full, or would have less free than `storage.minFreeSpace`. Pulls and deletes go on.',
    remedy: 'Free space, then try again.',
    detail: '`free`, `required`',
  },
  CONTENT_CORRUPT: {
    when: 'An `index.json` cannot be used, so that nothing can be pushed to its repository.',
    remedy: 'Run `zot check`.',
    detail: '`digest`',
  },
  UNAVAILABLE: {
    when: 'Storage or another process of the server does not answer, or the server is starting or stopping.',
    remedy: 'Try again after the seconds of `Retry-After`.',
  },
  INTERNAL: {
    when: 'A fault of the program.',
    remedy: 'Report it with the log lines that have the request id of the answer.',
  },
};

const FOREWORD = `# Errors

Every refusal has a JSON body of the form of the distribution specification, with the media type \`application/json\`:

\`\`\`json
{"errors":[
  {"code":"MANIFEST_UNKNOWN","message":"manifest unknown",
   "detail":{"description":"manifest unknown","reference":"v2"}}
]}
\`\`\`

\`detail.description\` is always there. Answers to HEAD have the status and headers only. Every answer carries
\`X-Request-Id\`; the log lines of the request have the same id. Answers with status 429, 503 and 507 carry
\`Retry-After\`.

This page is made by \`node tools/docs-errors.ts\`.`;

/** The whole page. */
export function errorsPage(): string {
  const codes = Object.keys(ERROR_TABLE) as ErrorCode[];
  return `${FOREWORD}\n\n${codes.map(section).join('\n\n')}\n`;
}

function section(code: ErrorCode): string {
  const { status, message } = ERROR_TABLE[code];
  const { also, when, remedy, detail } = EXPLANATIONS[code];
  return [
    `## ${code}`,
    '',
    `Status ${status}, "${message}".${also === undefined ? '' : ` Other statuses: ${also}.`}`,
    '',
    `- **When:** ${when}`,
    `- **What to do:** ${remedy}`,
    ...(detail === undefined ? [] : [`- **Detail:** ${detail}`]),
  ].join('\n');
}

if (import.meta.main) {
  writeFileSync(pageFile, errorsPage());
}
