import { defineConfig, type OxlintConfig } from 'oxlint';
import { layerOverrides } from './tools/layer-rules.ts';

/** Sizes from the style guide. Tests are lists of cases: longer files, suites that hold many cases in one function. */
const sizes: OxlintConfig['rules'] = {
  'max-lines': ['error', { max: 400 }],
  'max-lines-per-function': ['error', { max: 70 }],
  'max-params': ['error', { max: 4 }],
  'max-depth': ['error', { max: 3 }],
  complexity: ['error', { max: 12 }],
};

export default defineConfig({
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'promise', 'node'],
  categories: { correctness: 'error' },
  options: { typeAware: true },
  ignorePatterns: ['dist/**', '.cache/**', 'zot-data/**', 'node_modules/**', 'tools/samples/**'],
  rules: {
    ...sizes,
    eqeqeq: ['error', 'always', { null: 'ignore' }],
    'no-var': 'error',
    'prefer-const': 'error',
    'no-console': 'error',
    'no-empty': ['error', { allowEmptyCatch: false }],
    'no-param-reassign': 'error',
    'import/no-cycle': ['error', { ignoreTypes: false }],
    'typescript/no-explicit-any': 'error',
    'typescript/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/no-unnecessary-type-assertion': 'error',
    'typescript/prefer-promise-reject-errors': 'error',
    'unicorn/prefer-node-protocol': 'error',
  },
  overrides: [
    ...layerOverrides(),
    {
      files: ['**/*.test.ts', '**/*.suite.ts', 'test/**/*.ts'],
      rules: {
        'max-lines': ['error', { max: 600 }],
        'max-lines-per-function': 'off',
        // `test()` and `describe()` of node:test return promises that the runner itself awaits.
        'typescript/no-floating-promises': [
          'error',
          {
            allowForKnownSafeCalls: [
              { from: 'package', package: 'node:test', name: ['test', 'it', 'describe', 'suite'] },
            ],
          },
        ],
      },
    },
    {
      files: ['tools/**/*.ts', 'test/**/*.ts', 'examples/**/*.ts', '**/*.test.ts'],
      rules: { 'no-console': 'off' },
    },
  ],
});
