/** The composition root: configuration -> every part built, wired, started and stopped in order. */
export { openStorage, removeIndex } from './app/folder.ts';
export { openKeeperSide, startTasks } from './app/keeper-side.ts';
export type { KeeperSide } from './app/keeper-side.ts';
export { openServingAccounts, openServingIndex, openServingSide } from './app/serving-side.ts';
export type { ServingSide } from './app/serving-side.ts';
export { openTransferSide, requireOwner } from './app/transfer-side.ts';
export type { TransferSide } from './app/transfer-side.ts';
