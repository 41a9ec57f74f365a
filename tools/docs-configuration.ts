import { readFileSync, writeFileSync } from 'node:fs';
import type { z } from 'zod';
import { features } from '#config';
import { plainDefault } from '../src/config/json-schema.ts';
import type { KeyMeta } from '../src/config/schema/key.ts';
import { configSchema } from '../src/config/schema/schema.ts';
import { shapeOf, type KeyShape, type Shape } from '../src/config/schema/walk.ts';

/**
 * Writes docs/configuration.md from the declarations of the keys. Run it after a change of a key:
 * `node tools/docs-configuration.ts`. A test fails while the file is stale.
 */
export const pageFile = new URL('../docs/configuration.md', import.meta.url);

/** The whole page. */
export function configurationPage(): string {
  const parts = [prose('foreword'), ...sectionsOf(configSchema, ''), featureTable(), prose('afterword')];
  return `${parts.join('\n\n')}\n`;
}

/** The parts that are not made from declarations stand in files beside this one. */
function prose(name: 'foreword' | 'afterword'): string {
  return readFileSync(new URL(`docs-configuration/${name}.md`, import.meta.url), 'utf8').trimEnd();
}

/** The table of one object, then those of the objects within. */
function sectionsOf(schema: z.core.$ZodType, path: string): string[] {
  const shape = shapeOf(schema);
  switch (shape.kind) {
    case 'object':
      return objectSections(shape, path);
    case 'list':
      return sectionsOf(shape.items, `${path}[]`);
    case 'map':
      return sectionsOf(shape.values, `${path}.<name>`);
    case 'driver':
      return [...shape.options].flatMap(([name, option]) => sectionsOf(option, `${path}(${name})`));
    default:
      return [];
  }
}

function objectSections({ keys }: Extract<Shape, { kind: 'object' }>, path: string): string[] {
  const shown = [...keys.values()].filter(
    ({ meta, name }) => meta.internal !== true && !isDriverName(name, path),
  );
  const depth = path === '' ? 2 : Math.min(4, 2 + path.split(/[.[]/).length);
  const heading = path === '' ? '## All keys' : `${'#'.repeat(depth)} \`${path}\``;
  const table =
    shown.length === 0
      ? 'No keys beside `name`.'
      : ['| Key | Type | Default | |', '|---|---|---|---|', ...shown.map(row)].join('\n');
  return [heading, table, ...shown.flatMap((key) => sectionsBelow(key, path))];
}

function isDriverName(name: string, path: string): boolean {
  return name === 'name' && path.endsWith(')');
}

/** Sub-paths have the sections of the global store: written once. */
function sectionsBelow({ name, schema }: KeyShape, path: string): string[] {
  return path === 'storage.subPaths.<name>' ? [] : sectionsOf(schema, path === '' ? name : `${path}.${name}`);
}

function row({ name, schema, meta }: KeyShape): string {
  const doc = [meta.doc, ...marks(meta)].join(' ');
  return `| \`${name}\` | ${typeOf(schema)} | ${defaultOf(schema, meta)} | ${cell(doc)} |`;
}

function marks(meta: KeyMeta): string[] {
  return [
    ...(meta.ours === true ? ['*Not in zot.*'] : []),
    ...(meta.reloadable === true ? ['*Live.*'] : []),
    ...(meta.secret === true ? ['*Secret.*'] : []),
  ];
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

const formTypes = {
  duration: 'duration',
  port: 'number or text',
  size: 'size',
  freeSpace: 'size or percentage',
  logLevel: 'text',
  choice: 'text',
} as const;

function typeOf(schema: z.core.$ZodType): string {
  const shape = shapeOf(schema);
  switch (shape.kind) {
    case 'form':
      return formTypes[shape.form.kind];
    case 'list':
      return `list of ${pluralOf(shape.items)}`;
    case 'map':
      return `object: name to ${typeOf(shape.values)}`;
    case 'flag':
      return 'true or false';
    case 'integer':
      return 'whole number';
    case 'decimal':
      return 'number';
    case 'driver':
      return 'object with a `name`';
    case 'object':
    case 'anything':
      return 'object';
    default:
      return 'text';
  }
}

function pluralOf(schema: z.core.$ZodType): string {
  return shapeOf(schema).kind === 'object' ? 'objects' : 'texts';
}

function defaultOf(schema: z.core.$ZodType, meta: KeyMeta): string {
  if (meta.defaultText !== undefined) return cell(meta.defaultText);
  const value = plainDefault(schema);
  if (value === undefined) return '';
  if (value === '' || (Array.isArray(value) && value.length === 0)) return 'empty';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function featureTable(): string {
  const rows = features.map(({ name, doc, weakensSecurity }) => {
    const consequence = weakensSecurity ? 'the server refuses to start' : 'a warning';
    return `| \`${name}\` | ${cell(doc)} | ${consequence} |`;
  });
  const intro = [
    '## Features that a build may lack',
    '',
    'Every build reads and checks the whole file. When a section asks for something that the build does not',
    'have, the server names it in a warning; where leaving it out would open what the file closes, or put',
    'images in another place, it refuses to start. With `--strict` it refuses in every case.',
    '',
  ].join('\n');
  return [`${intro}\n| Name | What it is | If it is missing |`, '|---|---|---|', ...rows].join('\n');
}

if (import.meta.main) {
  writeFileSync(pageFile, configurationPage());
}
