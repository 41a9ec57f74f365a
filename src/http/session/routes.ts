import type { Config } from '#config';
import type { Route } from '../routes.ts';

/** A route of signing in and out. Its permission is `public` where the handler itself asks who is there. */
export interface SessionRoute extends Route {
  /** Whether the configuration switches it on. */
  isConfigured(config: Config): boolean;
}

/** Every route below `/zot/auth/`. */
export const SESSION_ROUTES: readonly SessionRoute[] = [];

export function sessionRoutes(config: Config): readonly Route[] {
  return SESSION_ROUTES.filter((route) => route.isConfigured(config));
}
