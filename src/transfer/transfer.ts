/**
 * Images on their way into the registry and out of it: OCI image layouts, archives of them, and the storage of other
 * registries. What comes in goes through the registry's own write path.
 */
export { exportLayouts } from './export-layout.ts';
export type { ExportOrder } from './export-layout.ts';
export { parseSelections } from './export-selection.ts';
export type { ExportParts, Selection } from './export-selection.ts';
export type { ImportParts } from './blob-intake.ts';
export { importDockerRegistry } from './import-docker-registry.ts';
export { importZotDatabase } from './import-zot-database.ts';
export type { ZotDatabaseReport } from './import-zot-database.ts';
export { importLayouts } from './import-layout.ts';
export type { ImportOrder } from './import-layout.ts';
export { TransferRefusal, printable } from './refusal.ts';
export { Tally } from './tally.ts';
export type { Skipped, TransferCounts } from './tally.ts';
