/**
 * Rules that neither the type checker nor the linter knows. Each names what to do instead, and carries samples that it
 * must and must not refuse; tools/tidy.test.ts tries them, then runs every rule over every file of the project.
 */
export interface TidyRule {
  readonly name: string;
  /** What to do instead. */
  readonly instead: string;
  /** Which files it looks at, by path from the top of the project. */
  readonly appliesTo: (path: string) => boolean;
  /** The faults of one file: the line (from 1; 0 for the file as a whole) and the words that are refused. */
  readonly find: (path: string, text: string) => Fault[];
  readonly refuses: readonly Sample[];
  readonly allows: readonly Sample[];
}

export interface Fault {
  readonly line: number;
  readonly words: string;
}

export interface Sample {
  readonly path?: string;
  readonly text: string;
}

const isTest = (path: string): boolean => /\.(test|suite)\.ts$/.test(path) || path.startsWith('test/');
const everywhere = (): boolean => true;
const inSource = (path: string): boolean => path.startsWith('src/') && !isTest(path);

/** What a rule about single lines looks for, and where it looks away. */
interface LinePattern {
  readonly pattern: RegExp;
  /** True when comments are searched as well. */
  readonly comments?: boolean;
  /** True when a comment on the line, or on the one above, may say why it is right there. */
  readonly explainable?: boolean;
}

/** A rule about single lines. */
function lineRule(rule: Omit<TidyRule, 'find'> & LinePattern): TidyRule {
  const { pattern, comments = false, explainable = false, ...rest } = rule;
  const find = (_path: string, text: string): Fault[] => {
    const lines = text.split('\n');
    return lines.flatMap((line, index) => {
      const words = pattern.exec(comments ? line : codeOf(line))?.[0];
      const excused = explainable && isExplained(line, lines[index - 1] ?? '');
      return words === undefined || excused ? [] : [{ line: index + 1, words }];
    });
  };
  return { ...rest, find };
}

function isExplained(line: string, above: string): boolean {
  return /^\s*(\/\/|\*|\/\*)/.test(above) || /\/\/ /.test(line);
}

function codeOf(line: string): string {
  if (/^\s*(\/\/|\/?\*)/.test(line)) return '';
  return line.replace(/\s\/\/ .*$/, '');
}

const texts = (...list: string[]): Sample[] => list.map((text) => ({ text }));

const sizeRules: readonly TidyRule[] = [
  {
    name: 'file size',
    instead: 'split the file by topic',
    appliesTo: everywhere,
    find(path, text) {
      const lines = text.split('\n').length - 1;
      const most = isTest(path) ? 600 : 400;
      return lines > most ? [{ line: 0, words: `${lines} lines of at most ${most}` }] : [];
    },
    refuses: [
      { path: 'src/lib/a.ts', text: '\n'.repeat(401) },
      { path: 'src/lib/a.test.ts', text: '\n'.repeat(601) },
    ],
    allows: [
      { path: 'src/lib/a.ts', text: '\n'.repeat(400) },
      { path: 'src/lib/a.test.ts', text: '\n'.repeat(600) },
    ],
  },
  lineRule({
    name: 'line length',
    instead: 'break the line',
    appliesTo: everywhere,
    pattern: /^.{121,}$/,
    comments: true,
    refuses: texts('x'.repeat(121)),
    allows: texts('x'.repeat(120)),
  }),
  lineRule({
    name: 'white space at the end of a line',
    instead: 'remove it',
    appliesTo: everywhere,
    pattern: /[ \t\r]+$/,
    comments: true,
    refuses: texts('const a = 1; ', 'const a = 1;\r'),
    allows: texts('const a = 1;'),
  }),
];

const nameRules: readonly TidyRule[] = [
  {
    name: 'file name',
    instead: 'name the file, in kebab-case, for its one topic',
    appliesTo: everywhere,
    find(path) {
      const banned = /(^|[/.-])(utils?|helpers?|common|misc|managers?|impl)([/.-]|$)/.exec(path)?.[0];
      const shape = path
        .split('/')
        .find((part) => part.endsWith('.ts') && !/^[a-z0-9]+([.-][a-z0-9]+)*$/.test(part));
      const words = banned ?? shape;
      return words === undefined ? [] : [{ line: 0, words }];
    },
    refuses: [
      { path: 'src/lib/utils.ts', text: '' },
      { path: 'src/helpers/a.ts', text: '' },
      { path: 'src/storage/lock-manager.ts', text: '' },
      { path: 'src/lib/KeyedLock.ts', text: '' },
    ],
    allows: [
      { path: 'src/lib/keyed-lock.test.ts', text: '' },
      { path: 'src/lib/communication.ts', text: '' },
    ],
  },
];

/** Calls that are refused in src/, with what to use. */
interface BannedCall {
  readonly call: RegExp;
  readonly instead: string;
  readonly sample: string;
  readonly good: string;
  /** Folders or files of src/ that may use it after all. */
  readonly except?: RegExp;
  /** The only folders of src/ that the ban is for. */
  readonly only?: RegExp;
  /** True when a comment on the line, or on the one above, may say why it is right there. */
  readonly explainable?: boolean;
}

const bannedCalls: readonly BannedCall[] = [
  {
    call: /\bparseInt\(/,
    instead: 'check the digits with a pattern, then Number(): parseInt reads "12abc" as 12',
    sample: 'const port = parseInt(text, 10);',
    good: 'const port = Number(text);',
  },
  {
    call: /\bMath\.random\(/,
    instead: 'node:crypto, or a source of randomness that the caller passes in',
    sample: 'const id = Math.random();',
    good: 'const id = randomUUID();',
  },
  {
    call: /\bnew RegExp\(/,
    instead: 'a literal; for patterns of users re2js, which cannot hang',
    sample: 'const pattern = new RegExp(text);',
    good: 'const pattern = /a+/;',
    // The grammars of the specification are put together from named parts that no user writes.
    except: /^src\/oci\//,
  },
  {
    call: /\bprocess\.exit\(/,
    instead: 'process.exitCode, or a thrown error: exit() cuts off output and open work',
    sample: 'process.exit(1);',
    good: 'process.exitCode = 1;',
    // A second signal means now.
    except: /^src\/(processes\/|cli\/serve\.ts)/,
  },
  {
    call: /\bJSON\.parse\(JSON\.stringify\(/,
    instead: 'structuredClone',
    sample: 'const copy = JSON.parse(JSON.stringify(value));',
    good: 'const copy = structuredClone(value);',
  },
  {
    call: /\.substr\(/,
    instead: 'slice',
    sample: 'name.substr(1, 2)',
    good: 'name.slice(1, 3)',
  },
  {
    call: /\b(new Function|eval)\(/,
    instead: 'a function written in the source',
    sample: 'eval(text)',
    good: 'evaluate(text)',
  },
  {
    call: /\b(exec|execFile|spawn|pbkdf2|scrypt)Sync\(/,
    instead: 'the asynchronous form: the event loop serves everybody',
    sample: 'const key = scryptSync(password, salt, 32);',
    good: 'const key = await scryptAsync(password, salt, 32);',
  },
  {
    call: /\b(append|copy|exists|fstat|fsync|l?stat|mkdir|open|read|readdir|rename|rm|unlink|write)(File)?Sync\(/,
    instead: 'node:fs/promises: the event loop serves everybody; or say on the line above when this runs',
    explainable: true,
    sample: 'const text = readFileSync(path);',
    good: 'const text = await readFile(path);',
    only: /^src\/(http|registry|storage|tasks|extensions|client)\//,
    // On an open file some calls answer from memory, in less time than a trip through the thread pool.
    except: /^src\/storage\/drivers\/local/,
  },
  {
    call: /\.catch\(\s*\(\s*\w*\s*\)\s*=>\s*(\{\s*\}|undefined|null)\s*\)/,
    instead: 'handle the error, log it, or say on the line above why it does not matter',
    explainable: true,
    sample: 'await close().catch(() => {});',
    good: 'await close().catch((error) => log.warn({ error }));',
  },
];

const callRules = bannedCalls.map(({ call, instead, sample, good, except, only, explainable = false }) =>
  lineRule({
    name: `banned call ${call.source}`,
    instead,
    appliesTo: (path) => inSource(path) && except?.test(path) !== true && only?.test(path) !== false,
    pattern: call,
    explainable,
    refuses: texts(sample),
    allows: texts(good, `// ${sample}`, ...(explainable ? [`// Why it is right here.\n${sample}`] : [])),
  }),
);

const commentRules: readonly TidyRule[] = [
  lineRule({
    name: 'TODO without a number',
    instead: 'do it, or write TODO(#123) with the number under which it is planned',
    appliesTo: everywhere,
    pattern: /\b(TODO(?!\(#\d+\))|FIXME|XXX|HACK)\b/,
    comments: true,
    refuses: texts('// TODO later', '// FIXME', '// TODO(someone): x', '/* XXX */'),
    allows: texts('// TODO(#12): the other half', 'const todos = 1;'),
  }),
  lineRule({
    name: 'silenced checker',
    instead: 'mend the code, or say after -- why the rule is wrong here',
    appliesTo: everywhere,
    pattern: /@ts-(ignore|nocheck)|@ts-expect-error(?! -- \S)|(ox|es)lint-disable(?!.* -- \S)/,
    comments: true,
    refuses: texts('// @ts-ignore', '// @ts-expect-error', '// oxlint-disable-next-line no-console'),
    allows: texts(
      '// @ts-expect-error -- the types of this package lag behind',
      '// oxlint-disable-next-line no-console -- this is the console',
    ),
  }),
  lineRule({
    name: 'path of one person’s machine',
    instead: 'find the path from import.meta.url, or make a temporary folder',
    appliesTo: everywhere,
    pattern: /(^|[\s'"`(=])\/(home|Users)\/[a-z]/,
    comments: true,
    refuses: texts("const file = '/home/anna/zot';", '// see /Users/anna/zot'),
    allows: texts("const path = 'a/home/b';"),
  }),
];

const testRules: readonly TidyRule[] = [
  lineRule({
    name: 'test that is skipped without a reason, or that shuts out all others',
    instead: 'pass the reason: { skip: "why" } or context.skip("why"); remove .only',
    appliesTo: isTest,
    pattern: /\b(test|it|describe|suite)\.(skip|only|todo)\(|\b(skip|only|todo): true\b|\.(skip|todo)\(\s*\)/,
    refuses: texts(
      "test.skip('a', () => {});",
      "it.only('a')",
      "test('a', { skip: true }, f)",
      'context.skip();',
    ),
    allows: texts("test('a', { skip: reason }, f)", "context.skip('qemu is not installed');"),
  }),
];

/** The tables of the index and the records: only parsed values are ever written there. */
const readsOwnTables = (path: string): boolean => /^src\/metadata\/(sqlite|redis)\//.test(path);

const castRules: readonly TidyRule[] = [
  lineRule({
    name: 'cast to a parsed type',
    instead:
      'parse the text: the type is the proof that somebody did. If it was parsed before, say so on the line above',
    appliesTo: (path) => !path.startsWith('src/oci/') && !readsOwnTables(path),
    pattern: /\bas (Digest|RepoName|Tag)\b(?!.* from )/,
    explainable: true,
    refuses: texts('const digest = text as Digest;', 'f(name as RepoName)', 'row.tag as Tag'),
    allows: texts(
      'const digest = parseDigest(text);',
      "import { type Value as Tag } from './a.ts';",
      'x as TagList',
      '// Only parsed digests are ever written to this column.\nrow.digest as Digest',
    ),
  }),
  lineRule({
    name: 'cast through unknown without a word of why',
    instead: 'avoid the cast, or explain it in a comment on the line above',
    appliesTo: inSource,
    pattern: /\bas unknown as\b/,
    explainable: true,
    refuses: texts('const a = b as unknown as C;'),
    allows: texts('// The driver promises this shape.\nconst a = b as unknown as C;'),
  }),
];

export const tidyRules: readonly TidyRule[] = [
  ...sizeRules,
  ...nameRules,
  ...callRules,
  ...commentRules,
  ...testRules,
  ...castRules,
];
