import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { main } from './main.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-explain-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const config = path.join(folder, 'config.json');
writeFileSync(
  config,
  JSON.stringify({
    storage: { rootDirectory: path.join(folder, 'data') },
    http: {
      auth: { htpasswd: { path: path.join(folder, 'htpasswd') } },
      accessControl: {
        groups: { developers: { users: ['alice', 'bob'] } },
        repositories: {
          '**': {
            policies: [{ users: ['carol'], actions: ['read', 'create', 'update', 'delete'] }],
            defaultPolicy: ['read'],
          },
          'team/**': {
            policies: [
              { groups: ['developers'], actions: ['read', 'create'] },
              {
                users: ['alice'],
                actions: ['update'],
                conditions: [
                  { expression: "req.client.ip.startsWith('10.')", message: 'only from the office' },
                ],
              },
              {
                groups: ['ci'],
                actions: ['delete'],
                conditions: [
                  { expression: "req.claims.ref == 'main'", message: 'only from main' },
                  { expression: 'req.time.getHours() < 12', message: 'only in the morning' },
                ],
              },
            ],
          },
          'public/*': { anonymousPolicy: ['read'] },
        },
        adminPolicy: { users: ['root'], actions: ['read', 'delete'] },
      },
    },
  }),
);

async function explain(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []];
  const sink = (texts: string[]) => ({ write: (text: string) => texts.push(text) });
  const code = await main(['access', 'explain', ...words, config], 'zot', {
    stdout: sink(out),
    stderr: sink(err),
  });
  return { code, out: out.join(''), err: err.join('') };
}

test('says which rule allows it', async () => {
  const { code, out } = await explain('--user', 'alice', '--repo', 'team/app', '--action', 'create');
  assert.equal(code, 0);
  assert.match(out, /^alice may "create" team\/app/);
  assert.match(
    out,
    /decided by +http\.accessControl\.repositories\["team\/\*\*"\]\.policies\[0\], for the group developers/,
  );
  assert.match(out, /"team\/\*\*" is the longest that matches team\/app/);
  assert.match(out, /lost +"\*\*" matches, too, but is shorter; it would not have allowed this/);
});

test('says which condition failed, what the client reads, and what would have to change', async () => {
  const asked = ['--user', 'alice', '--repo', 'team/app', '--action', 'push'];
  const { code, out } = await explain(...asked, '--ip', '192.168.0.1');
  assert.equal(code, 2);
  assert.match(out, /alice may "create" team\/app/);
  assert.match(out, /alice may NOT "update" team\/app.*403/);
  assert.match(
    out,
    /policies\[1\] would grant it to the user alice; the condition req\.client\.ip\.startsWith\('10\.'\) fails/,
  );
  assert.match(out, /they read +"only from the office"/);
  assert.match(
    out,
    /to allow it +the condition req\.client\.ip\.startsWith\('10\.'\) of .*policies\[1\] must hold/,
  );
  assert.match(out, /or add "update" to the actions of repositories\["team\/\*\*"\]\.policies\[0\]/);
  assert.equal((await explain(...asked, '--ip', '10.0.0.1')).code, 0);
});

test('says that a shorter pattern would have allowed it', async () => {
  const { code, out } = await explain('--user', 'carol', '--repo', 'team/app', '--action', 'delete');
  assert.equal(code, 2);
  assert.match(out, /"\*\*" matches, too, but is shorter; it would have allowed this/);
  assert.match(out, /repeat under "team\/\*\*" what "\*\*" grants/);
});

test('says that anonymous rights are not for users', async () => {
  const { code, out } = await explain('--user', 'bob', '--repo', 'public/base');
  assert.equal(code, 2);
  assert.match(out, /anonymousPolicy is for callers who have not signed in only/);
  const nobody = await explain('--repo', 'public/base');
  assert.equal(nobody.code, 0);
  assert.match(nobody.out, /Whoever has not signed in may "read" public\/base/);
  assert.match((await explain('--repo', 'team/base')).out, /The answer is 401/);
});

test('takes groups, claims and a time', async () => {
  const asked = [
    '--user',
    'bot',
    '--group',
    'x',
    '--group',
    'ci',
    '--repo',
    'team/app',
    '--action',
    'delete',
  ];
  const morning = ['--at', '2026-01-01T09:00:00Z'];
  assert.equal((await explain(...asked, '--claims', '{"ref":"main"}', ...morning)).code, 0);
  const late = await explain(...asked, '--claims', '{"ref":"main"}', '--at', '2026-01-01T15:00:00Z');
  assert.match(late.out, /they read +"only in the morning"/);
  const without = await explain(...asked, ...morning);
  assert.match(without.out, /req\.claims\.ref == 'main' has no value/);
  assert.match(without.out, /"?req\.time\.getHours\(\) < 12 not asked/);
});

test('gives programs the same as JSON', async () => {
  const { code, out } = await explain('--user', 'root', '--repo', 'zz', '--action', 'delete', '--json');
  assert.equal(code, 0);
  const parsed = JSON.parse(out) as { rule: string; explanations: { allowed: boolean; decidedBy: string }[] };
  assert.equal(parsed.rule, 'policies');
  assert.deepEqual(
    parsed.explanations.map(({ allowed, decidedBy }) => ({ allowed, decidedBy })),
    [{ allowed: true, decidedBy: 'adminPolicy' }],
  );
});

test('teaches where the call is wrong', async () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [[], /name the repository/],
    [['--repo', 'Team'], /no name of a repository/],
    [['--repo', 'a', '--action', 'eat'], /no action; write pull, push/],
    [['--repo', 'a', '--ip', 'x'], /no IP address/],
    [['--repo', 'a', '--claims', '[1]'], /no.* JSON object|not a JSON object/],
    [['--repo', 'a', '--at', 'noon'], /no time/],
    [['--repo', 'a', '--reference', '-x-/'], /neither a tag nor a digest/],
  ];
  for (const [words, message] of cases) {
    const { code, err } = await explain(...words);
    assert.equal(code, 1, words.join(' '));
    assert.match(err, message);
  }
});
