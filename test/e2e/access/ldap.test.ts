import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BASE_DN, OTHER_HOST, SERVICE, skipWithoutSlapd, startSlapd } from '../../support/slapd.ts';
import type { Directory } from '../../support/slapd.ts';
import type { Answer } from '../support/client.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { eventually } from '../../support/eventually.ts';
import { FROM_UI, basic, passwordFile } from './sign-in.ts';

const PEOPLE = `ou=people,${BASE_DN}`;
const OPEN = `ou=open,${BASE_DN}`;

/** An entry of a person; `more` holds further lines. */
function person(uid: string, password: string, more: readonly string[] = [], at = PEOPLE): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return [
    `dn:: ${base64(`cn=${uid.replace(/[,+"\\<>;=#]/g, '\\$&')} of the people,${at}`)}`,
    'objectClass: inetOrgPerson',
    `cn:: ${base64(`${uid} of the people`)}`,
    'sn: x',
    `uid:: ${base64(uid)}`,
    `userPassword:: ${base64(password)}`,
    ...more,
    '',
  ].join('\n');
}

const developers = `memberOf: cn=developers,ou=groups,${BASE_DN}`;
const LDIF = [
  person('alice', 'alice-secret', [
    developers,
    `memberOf: cn=ops\\2C eu,${BASE_DN}`,
    'employeeType: staff',
    'title: admins',
  ]),
  person('bob', 'pässwörd "x"', ['employeeType: guest']),
  person('carol', 'carol-secret', ['employeeType: staff'], `ou=deeper,${PEOPLE}`),
  person('we*rd (one) \\two', 'weird', ['employeeType: staff']),
  person('twin', 'one', ['employeeType: staff']),
  person('twin', 'one', ['employeeType: staff'], `ou=deeper,${PEOPLE}`),
  person('olga', 'olga-secret', [], OPEN),
].join('\n');

const CREDENTIALS = 'ldap-credentials.json';

describe('an LDAP directory', { skip: await skipWithoutSlapd(), timeout: 120_000 }, () => {
  let directory: Directory;
  before(async () => {
    directory = await startSlapd(LDIF);
    await writeFile(path.join(directory.folder, CREDENTIALS), JSON.stringify(SERVICE));
  });
  after(() => directory.remove());

  function ldapOf(changes: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      address: '127.0.0.1',
      port: directory.port,
      insecure: true,
      baseDN: BASE_DN,
      userAttribute: 'uid',
      userGroupAttribute: 'memberOf',
      subtreeSearch: true,
      credentialsFile: path.join(directory.folder, CREDENTIALS),
      ...changes,
    };
  }

  const policies = {
    'of-developers/**': { policies: [{ groups: ['developers'], actions: ['read'] }] },
    'of-dn/**': { policies: [{ groups: [`cn=developers,ou=groups,${BASE_DN}`], actions: ['read'] }] },
    'of-ops/**': { policies: [{ groups: ['ops, eu'], actions: ['read'] }] },
    'of-admins/**': { policies: [{ groups: ['admins', 'staff'], actions: ['read'] }] },
  };

  async function withRegistry(
    ldap: Record<string, unknown>,
    work: (
      served: Served,
      status: (user: string, password: string, target?: string) => Promise<number>,
    ) => Promise<void>,
    auth: Record<string, unknown> = {},
  ): Promise<void> {
    const accessControl = { repositories: policies };
    const served = await serveRegistry({ http: { auth: { ldap: ldapOf(ldap), ...auth }, accessControl } });
    const status = async (user: string, password: string, target = '/v2/'): Promise<number> =>
      (await served.request('GET', target, { headers: basic(user, password) })).status;
    try {
      await work(served, status);
    } finally {
      await served.close();
    }
  }

  test('signs its users in', async () => {
    await withRegistry({}, async (_served, status) => {
      assert.equal(await status('alice', 'alice-secret'), 200);
      assert.equal(await status('bob', 'pässwörd "x"'), 200);
      assert.equal(await status('carol', 'carol-secret'), 200);
      assert.equal(await status('we*rd (one) \\two', 'weird'), 200);
      assert.equal(await status('alice', 'wrong'), 401);
      assert.equal(await status('nobody', 'alice-secret'), 401);
    });
  });

  test('is never asked with an empty password, which it would take for nobody and let in', async () => {
    await withRegistry({}, async (_served, status) => {
      assert.equal(await status('alice', ''), 401);
      assert.equal(await status('', ''), 401);
      assert.equal(await status('', 'x'), 401);
    });
  });

  test('takes nothing in a name for a part of a filter', async () => {
    await withRegistry({}, async (_served, status) => {
      const names = [
        '*',
        'al*',
        '*)(uid=*',
        'alice)(|(uid=*',
        'alice)(userPassword=*',
        '*)(objectClass=*))(&(uid=x',
        'alice\0',
        'ALICE)',
        '\\2a',
        'a\\6cice',
        '(alice)',
        'alice,ou=people',
      ];
      for (const name of names)
        assert.notEqual(await status(name, 'alice-secret'), 200, JSON.stringify(name));
    });
  });

  test('with two entries of one name signs in neither', async () => {
    await withRegistry({}, async (served, status) => {
      assert.equal(await status('twin', 'one'), 401);
      const lines = await served.logLines();
      assert.ok(lines.some(({ message }) => String(message).includes('more than one entry')));
    });
    await withRegistry({ subtreeSearch: false, baseDN: PEOPLE }, async (_served, status) => {
      assert.equal(await status('twin', 'one'), 200);
    });
  });

  test('is searched one level deep, unless told otherwise', async () => {
    await withRegistry({ subtreeSearch: false, baseDN: PEOPLE }, async (_served, status) => {
      assert.equal(await status('alice', 'alice-secret'), 200);
      assert.equal(await status('carol', 'carol-secret'), 401);
    });
  });

  test('may be narrowed by a filter, with or without its outer parentheses', async () => {
    for (const userFilter of [
      '(employeeType=staff)',
      'employeeType=staff',
      '&(employeeType=staff)(!(uid=nobody))',
    ]) {
      await withRegistry({ userFilter }, async (_served, status) => {
        assert.equal(await status('alice', 'alice-secret'), 200, userFilter);
        assert.equal(await status('bob', 'pässwörd "x"'), 401, userFilter);
      });
    }
    await assert.rejects(
      withRegistry({ userFilter: '(a=(' }, async () => undefined),
      /userFilter.*is not a filter/,
    );
  });

  test('gives the groups of the configured attribute, and of no other', async () => {
    await withRegistry({}, async (_served, status) => {
      const list = (repo: string): Promise<number> =>
        status('alice', 'alice-secret', `/v2/${repo}/app/tags/list`);
      assert.equal(await list('of-developers'), 404, 'by common name');
      assert.equal(await list('of-dn'), 404, 'by distinguished name');
      assert.equal(await list('of-ops'), 404, 'an escaped comma');
      assert.equal(await list('of-admins'), 403, 'other attributes name no groups');
      assert.equal(await status('bob', 'pässwörd "x"', '/v2/of-developers/app/tags/list'), 403);
    });
    await withRegistry({ userGroupAttribute: 'MEMBEROF' }, async (_served, status) => {
      assert.equal(
        await status('alice', 'alice-secret', '/v2/of-developers/app/tags/list'),
        404,
        'in any case',
      );
    });
    await withRegistry({ userGroupAttribute: '' }, async (_served, status) => {
      assert.equal(await status('alice', 'alice-secret', '/v2/of-developers/app/tags/list'), 403);
    });
  });

  test('is reached by LDAPS and by StartTLS, its certificate compared with the address', async () => {
    const cacert = directory.caFile;
    const secure = { port: directory.tlsPort, insecure: false, cacert };
    const upgraded = { insecure: true, startTLS: true, cacert };
    for (const ldap of [secure, upgraded]) {
      for (const address of ['127.0.0.1', 'localhost']) {
        await withRegistry({ ...ldap, address }, async (_served, status) => {
          assert.equal(await status('alice', 'alice-secret'), 200, address);
          assert.equal(await status('alice', 'wrong'), 401, address);
        });
      }
      await withRegistry({ ...ldap, address: OTHER_HOST }, async (_served, status) => {
        assert.equal(await status('alice', 'alice-secret'), 503, 'the certificate is for another address');
      });
      await withRegistry({ ...ldap, cacert: '' }, async (_served, status) => {
        assert.equal(await status('alice', 'alice-secret'), 503, 'nobody knows its authority');
      });
      await withRegistry(
        { ...ldap, cacert: '', address: OTHER_HOST, skipVerify: true },
        async (_served, status) => {
          assert.equal(await status('alice', 'alice-secret'), 200, 'told not to look');
        },
      );
    }
    await assert.rejects(
      withRegistry({ ...secure, cacert: '/absent' }, async () => undefined),
      /cacert/,
    );
  });

  test('that does not let everybody search needs the service account', async () => {
    await withRegistry({ credentialsFile: '', baseDN: OPEN }, async (_served, status) => {
      assert.equal(await status('olga', 'olga-secret'), 200, 'where everybody may search');
      assert.equal(await status('olga', 'wrong'), 401);
    });
    await withRegistry({ credentialsFile: '' }, async (_served, status) => {
      assert.equal(await status('alice', 'alice-secret'), 503);
    });
    const wrong = path.join(directory.folder, 'wrong.json');
    await writeFile(wrong, JSON.stringify({ ...SERVICE, bindPassword: 'wrong-service-password' }));
    await withRegistry({ credentialsFile: wrong }, async (served, status) => {
      assert.equal(await status('alice', 'alice-secret'), 503);
      const text = JSON.stringify(await served.logLines());
      assert.match(text, /refuses the service account/);
      assert.ok(!text.includes('wrong-service-password') && !text.includes('alice-secret'));
    });
  });

  test('is asked by many at once, and again after it was away', async () => {
    await withRegistry({}, async (_served, status) => {
      const many = await Promise.all(
        Array.from({ length: 40 }, (_, at) =>
          at % 2 === 0 ? status('alice', 'alice-secret') : status('carol', 'carol-secret'),
        ),
      );
      assert.deepEqual(new Set(many), new Set([200]));
      await directory.stop();
      assert.equal(await status('alice', 'alice-secret'), 200, 'remembered');
      const startMs = performance.now();
      assert.equal(await status('bob', 'pässwörd "x"'), 503, 'cannot be found out');
      assert.ok(performance.now() - startMs < 10_000, 'and that is said soon');
      await directory.start();
      assert.equal(await status('bob', 'pässwörd "x"'), 200, 'old connections are not used again');
      assert.equal(await status('we*rd (one) \\two', 'weird'), 200);
    });
  });

  test('stands beside a password file, which is asked first', async () => {
    const file = await passwordFile({ alice: 'the-one-of-the-file', dave: 'dave-secret' });
    try {
      await withRegistry(
        {},
        async (_served, status) => {
          assert.equal(await status('dave', 'dave-secret'), 200);
          assert.equal(await status('alice', 'the-one-of-the-file'), 200);
          assert.equal(await status('alice', 'alice-secret'), 200);
          assert.equal(await status('carol', 'carol-secret'), 200);
          assert.equal(await status('carol', 'wrong'), 401);
          for (let again = 0; again < 10; again += 1)
            assert.equal(await status('carol', 'carol-secret'), 200, 'no failures are counted');
        },
        { htpasswd: { path: file.path } },
      );
    } finally {
      await file.remove();
    }
  });

  test('begins sessions and backs API keys, with the groups that it gives now', async () => {
    await withRegistry(
      {},
      async (served) => {
        const ask = (
          headers: Record<string, string>,
          target: string,
          method = 'GET',
          body?: string,
        ): Promise<Answer> =>
          served.request(method, target, { headers, ...(body === undefined ? {} : { body }) });
        const answer = await ask({ ...basic('alice', 'alice-secret'), ...FROM_UI }, '/v2/');
        const [pair = ''] = answer.headers['set-cookie']?.[0]?.split(';') ?? [];
        const cookie = { cookie: pair, ...FROM_UI };
        assert.equal((await ask(cookie, '/v2/of-developers/app/tags/list')).status, 404);
        const made = JSON.parse((await ask(cookie, '/zot/auth/apikey', 'POST', '{"label":"x"}')).text) as {
          apiKey: string;
        };
        const key = basic('alice', made.apiKey);
        assert.equal((await ask(key, '/v2/of-developers/app/tags/list')).status, 404);
        await directory.stop();
        assert.equal(
          (await ask(key, '/v2/of-developers/app/tags/list')).status,
          404,
          'also while it is away',
        );
        await directory.start();
        await eventually(async () => (await ask(key, '/v2/')).status === 200, 20_000, 'all is well again');
      },
      { apikey: true },
    );
  });
});
