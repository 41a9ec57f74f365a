import { defineConfig } from 'oxfmt';

/** Code only. Prose keeps the lines that its writer gave it. */
export default defineConfig({
  printWidth: 110,
  singleQuote: true,
  ignorePatterns: [
    'dist/**',
    '.cache/**',
    'zot-data/**',
    '**/*.md',
    'package.json',
    'package-lock.json',
    '**/samples/**',
  ],
});
