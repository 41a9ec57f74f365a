import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { openBrowser, withoutBrowser } from './browser.ts';
import { CLIENT, startIdentityProvider } from './identity-provider.ts';
import type { IdentityProvider } from './identity-provider.ts';

const STEP_MS = 20_000;

/** The pages of the registry that are used here forbid all scripts, the test's own as well. */
const ANY_SCRIPT = { bypassCSP: true } as const;

interface Init {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly credentials?: 'include';
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

describe('signing in with a real browser', { skip: withoutBrowser, timeout: 180_000 }, () => {
  let provider: IdentityProvider;
  let served: Served;
  let browser: Browser;
  before(async () => {
    provider = await startIdentityProvider();
    const oidc = { ...CLIENT, issuer: provider.url, scopes: ['email', 'groups'] };
    served = await serveRegistry({ http: { auth: { openid: { providers: { oidc } } } } });
    provider.serve(served.url);
    provider.claims.set('amy', { email: 'amy@example.com', email_verified: true });
    browser = await openBrowser();
  });
  after(async () => {
    await browser.close();
    await served.close();
    await provider.close();
  });

  const signIn = async (context: BrowserContext): Promise<Page> => {
    const page = await context.newPage();
    page.setDefaultTimeout(STEP_MS);
    await page.goto(`${served.url}/zot/auth/login?provider=oidc&callback_ui=%2Flivez`);
    await page.fill('input[name=login]', 'amy');
    await page.fill('input[name=password]', 'any');
    await page.click('[type=submit]');
    await page.click('[type=submit]');
    await page.waitForURL(`${served.url}/livez`);
    return page;
  };
  /** What a script of a page gets from the registry. */
  const ask = (page: Page, target: string, init: Init): Promise<Answer> =>
    page.evaluate<Answer>(`(async () => {
      const answer = await fetch(${JSON.stringify(`${served.url}${target}`)}, ${JSON.stringify(init)});
      return { status: answer.status, text: await answer.text() };
    })()`);
  const ui = { headers: { 'x-zot-api-client': 'zot-ui' } };

  test('goes to the provider and back, is signed in, and signs out at both', async () => {
    const context = await browser.newContext(ANY_SCRIPT);
    const page = await signIn(context);
    const cookies = await context.cookies(served.url);
    const session = cookies.find(({ name }) => name === 'session');
    assert.equal(session?.httpOnly, true);
    assert.equal(session.sameSite, 'Lax');
    assert.equal(
      cookies.some(({ name }) => name === 'statecookie'),
      false,
    );
    assert.equal((await ask(page, '/v2/', ui)).status, 200);
    const out = await ask(page, '/zot/auth/logout', { method: 'POST', ...ui });
    const { endSessionUrl } = JSON.parse(out.text) as { endSessionUrl: string };
    assert.equal((await ask(page, '/v2/', ui)).status, 401);
    await page.goto(endSessionUrl);
    await page.click('button[type=submit][value=yes]');
    await page.waitForURL((url) => url.href.startsWith(`${served.url}/login`));
    await context.close();
  });

  test('is not signed out, nor given keys to, by a page of another site', async () => {
    const context = await browser.newContext(ANY_SCRIPT);
    const page = await signIn(context);
    // Another site by its name; cookies of one host are shared by its ports.
    const forms = ['logout', 'apikey'].map(
      (name) => `<form id=${name} method=post action="${served.url}/zot/auth/${name}"></form>`,
    );
    const evil = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(`<body>${forms.join('')}</body>`);
    });
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
    const { port } = evil.address() as AddressInfo;
    try {
      for (const name of ['logout', 'apikey']) {
        const attack = await context.newPage();
        await attack.goto(`http://localhost:${port}/`);
        const answered = attack.waitForResponse((response) => response.url().endsWith(`/zot/auth/${name}`));
        await attack.evaluate(`document.getElementById('${name}').submit()`);
        assert.ok([401, 403].includes((await answered).status()), name);
        await attack.close();
      }
      assert.equal((await ask(page, '/v2/', ui)).status, 200, 'still signed in');
      const other = await context.newPage();
      await other.goto(`http://localhost:${port}/`);
      const read = await ask(other, '/v2/', { ...ui, credentials: 'include' }).catch(() => null);
      assert.notEqual(read?.status, 200, 'a script of another site gets nothing in her name');
    } finally {
      evil.closeAllConnections();
      evil.close();
      await context.close();
    }
  });
});
