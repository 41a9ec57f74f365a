import {
  completeHttp,
  completeScanning,
  completeScrub,
  completeSinks,
  completeStores,
  completeSync,
  completeVersion,
  lowerNames,
} from './defaults.ts';
import type { Rule } from './rule-context.ts';
import { checkAuthorization, checkPatterns, warnOfEmptyPolicies } from './access-control.ts';
import {
  checkHtpasswd,
  checkLdap,
  checkMtls,
  checkOpenid,
  checkSessionDriver,
  warnOfMethodsBesideTokens,
} from './auth.ts';
import { checkBearer, checkTokens } from './bearer.ts';
import {
  checkMetricsPath,
  checkRedundant,
  checkSbom,
  checkScanning,
  checkSinks,
  checkUi,
  warnOfEmptyExtensions,
} from './extensions.ts';
import { checkClientAuth, checkCluster, checkHttp, checkScheduler, checkTls } from './http.ts';
import {
  checkCache,
  checkGc,
  checkQuotas,
  checkRemoteStorage,
  checkRootDirectory,
  checkRoutes,
  checkTags,
} from './storage.ts';
import { checkStoresApart } from './stores-apart.ts';
import { checkDownloadDir, checkSync, warnOfRetentionOverlap } from './sync.ts';
import { readLdapCredentials, readOpenidCredentials, readSessionKeys } from './secret-files.ts';

/**
 * Everything that looks at more than one key, in zot's order: secret files, defaults that depend on others,
 * checks. The last rule changes names of keys, so that all before it speak of the user's.
 */
export const rules: readonly Rule[] = [
  readLdapCredentials,
  readOpenidCredentials,
  readSessionKeys,
  completeVersion,
  completeScanning,
  completeScrub,
  completeSinks,
  completeStores,
  completeHttp,
  completeSync,
  warnOfEmptyExtensions,
  warnOfEmptyPolicies,
  checkHttp,
  checkTls,
  checkClientAuth,
  checkRootDirectory,
  checkRoutes,
  checkGc,
  checkQuotas,
  checkTags,
  checkHtpasswd,
  checkLdap,
  checkMtls,
  checkOpenid,
  checkBearer,
  checkTokens,
  warnOfMethodsBesideTokens,
  checkSync,
  warnOfRetentionOverlap,
  checkStoresApart,
  checkCache,
  checkSessionDriver,
  checkRedundant,
  checkMetricsPath,
  checkUi,
  checkScanning,
  checkSbom,
  checkSinks,
  checkAuthorization,
  checkRemoteStorage,
  checkDownloadDir,
  checkPatterns,
  checkCluster,
  checkScheduler,
  lowerNames,
];
