import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { descriptorOf, type Content, type Descriptor, type Image } from './content.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';

/** Writes blobs into an image layout as any tool would. */
export async function writeBlobs(folder: string, contents: readonly Content[]): Promise<void> {
  for (const { digest, bytes } of contents) {
    const file = path.join(folder, 'blobs', ...digest.split(':'));
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, bytes);
  }
}

/** Writes an image layout whose index.json is exactly this value or text. */
export async function writeLayout(
  folder: string,
  index: unknown,
  contents: readonly Content[],
  layoutText = '{"imageLayoutVersion": "1.0.0"}',
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeBlobs(folder, contents);
  await writeFile(path.join(folder, 'oci-layout'), layoutText);
  await writeFile(path.join(folder, 'index.json'), typeof index === 'string' ? index : JSON.stringify(index));
}

/** A descriptor of index.json with a tag. */
export function tagged(content: Content, tag: string, more: Partial<Descriptor> = {}): Descriptor {
  return descriptorOf(content, { ...more, annotations: { ...more.annotations, [REF_NAME]: tag } });
}

export function contentsOf(image: Image): readonly Content[] {
  return [image.config, ...image.layers, image.manifest];
}
