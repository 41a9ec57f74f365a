import { fileURLToPath } from 'node:url';

/** The top of the working tree, with a slash at the end. */
export const rootFolder = fileURLToPath(new URL('../../', import.meta.url));

/** Where builds put their results; never committed. */
export const distFolder = `${rootFolder}dist/`;

/** Where downloads are kept between builds; never committed. */
export const cacheFolder = `${rootFolder}.cache/`;
