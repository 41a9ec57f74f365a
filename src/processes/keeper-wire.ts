import type { Keeper, UploadRef, UserDesk } from '#registry';
import type { WireError } from './wire-errors.ts';

/** Calls of the keeper that go over the socket as they are. */
export type KeeperMethod = Exclude<keyof Keeper, 'users'>;

/** A method of the keeper, or one of its desk of users. */
export type WireMethod = KeeperMethod | `users.${keyof UserDesk}`;

export type ToKeeper = {
  readonly id: number;
  readonly method: WireMethod;
  readonly args: readonly unknown[];
};

export type FromKeeper =
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: WireError }
  /** Asks the holder of an upload to let go of it; `id` is that of the call that claimed it. */
  | { readonly kind: 'revoke'; readonly id: number };

export function uploadKey(upload: UploadRef): string {
  return `${upload.repo} ${upload.id}`;
}
