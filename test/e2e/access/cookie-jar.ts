/** A browser without scripts and pages: it follows redirects one by one and keeps cookies, by host and path. */
export class CookieJar {
  #cookies = new Map<string, { readonly value: string; readonly path: string }>();

  /** The value of a cookie, `undefined` without it. */
  value(name: string): string | undefined {
    return [...this.#cookies].find(([key]) => key.startsWith(`${name} `))?.[1].value;
  }

  set(name: string, value: string, path = '/'): void {
    this.#cookies.set(`${name} ${path}`, { value, path });
  }

  clone(): CookieJar {
    const copy = new CookieJar();
    for (const [key, cookie] of this.#cookies) copy.#cookies.set(key, cookie);
    return copy;
  }

  /** One request; redirects come back as they are. */
  async fetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
    const address = new URL(url);
    const sent = [...this.#cookies].filter(([, { path }]) => address.pathname.startsWith(path));
    const headers = new Headers(init.headers);
    const cookie = sent.map(([key, { value }]) => `${key.split(' ')[0]}=${value}`).join('; ');
    if (cookie !== '') headers.set('cookie', cookie);
    const signal = AbortSignal.timeout(15_000);
    const response = await fetch(address, { ...init, headers, redirect: 'manual', signal });
    for (const text of response.headers.getSetCookie()) this.#take(text);
    return response;
  }

  #take(text: string): void {
    const [pair = '', ...attributes] = text.split(';').map((part) => part.trim());
    const equals = pair.indexOf('=');
    const attribute = (name: string): string | undefined =>
      attributes.find((one) => one.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
    const path = attribute('path') ?? '/';
    const key = `${pair.slice(0, equals)} ${path}`;
    const isGone =
      attribute('max-age') === '0' || new Date(attribute('expires') ?? '2100-01-01') < new Date();
    if (isGone) this.#cookies.delete(key);
    else this.#cookies.set(key, { value: pair.slice(equals + 1), path });
  }
}

/** Where a redirect leads; throws for any other answer. */
export async function locationOf(response: Response, base: string | URL): Promise<URL> {
  const location = response.headers.get('location');
  if (location !== null) return new URL(location, base);
  throw new Error(`no redirect but ${response.status}: ${(await response.text()).slice(0, 500)}`);
}

/**
 * Goes to a page of the registry that sends on to the provider, signs in there as `login`, agrees, and gives the
 * address of the callback with its code; the registry has not seen it yet.
 */
export async function signInAtProvider(jar: CookieJar, start: string, login: string): Promise<URL> {
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  let url = await locationOf(await jar.fetch(start), start);
  for (let step = 0; step < 20; step += 1) {
    if (url.pathname.startsWith('/zot/auth/callback/')) return url;
    const response = await jar.fetch(url);
    if (response.headers.get('location') !== null) {
      url = await locationOf(response, url);
      continue;
    }
    const page = await response.text();
    if (response.status !== 200)
      throw new Error(`the provider answered ${response.status}: ${page.slice(0, 800)}`);
    const body = page.includes('name="login"')
      ? `prompt=login&login=${encodeURIComponent(login)}&password=any`
      : 'prompt=consent';
    url = await locationOf(await jar.fetch(url, { method: 'POST', headers: form, body }), url);
  }
  throw new Error('the provider never came to an end');
}
