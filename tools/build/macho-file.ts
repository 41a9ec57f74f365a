/**
 * The few parts of a Mach-O executable (64 bits, little endian) that a code signature touches.
 *
 *     header | load commands | free room | __TEXT ... | __LINKEDIT (symbols, ..., signature)
 *
 * Apple describes the records in <mach-o/loader.h>. Offsets and sizes are bytes from the start of the file.
 */

const headerSizeBytes = 32;
const magic64 = 0xfeedfacf;
const segmentCommand = 0x19;
const codeSignatureCommand = 0x1d;
const codeSignatureCommandSizeBytes = 16;

/** Memory pages of 64-bit ARM Macs; segments in memory end at their border. */
const memoryPageSizeBytes = 0x4000;

interface LoadCommand {
  readonly kind: number;
  readonly at: number;
  readonly sizeBytes: number;
}

/** A segment: a part of the file that is mapped into memory. */
export interface Segment {
  readonly name: string;
  /** Where its load command starts. */
  readonly at: number;
  readonly fileOffset: number;
  readonly fileSizeBytes: number;
}

/** @throws Error when the bytes are no 64-bit Mach-O file. */
export function listLoadCommands(bytes: Buffer): LoadCommand[] {
  if (bytes.length < headerSizeBytes || bytes.readUInt32LE(0) !== magic64) {
    throw new Error('not a 64-bit Mach-O file');
  }
  const commands: LoadCommand[] = [];
  let at = headerSizeBytes;
  for (let left = bytes.readUInt32LE(16); left > 0; left -= 1) {
    const command = { kind: bytes.readUInt32LE(at), at, sizeBytes: bytes.readUInt32LE(at + 4) };
    commands.push(command);
    at += command.sizeBytes;
  }
  return commands;
}

/** @throws Error when there is no such segment. */
export function readSegment(bytes: Buffer, name: string): Segment {
  const segments = listLoadCommands(bytes).filter(({ kind }) => kind === segmentCommand);
  const found = segments.find(({ at }) => readName(bytes, at + 8) === name);
  if (found === undefined) throw new Error(`the Mach-O file has no segment ${name}`);
  return {
    name,
    at: found.at,
    fileOffset: Number(bytes.readBigUInt64LE(found.at + 40)),
    fileSizeBytes: Number(bytes.readBigUInt64LE(found.at + 48)),
  };
}

/** Where the signature lies, or null when the file has none. */
export function findSignature(bytes: Buffer): { offset: number; sizeBytes: number } | null {
  const command = listLoadCommands(bytes).find(({ kind }) => kind === codeSignatureCommand);
  if (command === undefined) return null;
  return { offset: bytes.readUInt32LE(command.at + 8), sizeBytes: bytes.readUInt32LE(command.at + 12) };
}

/**
 * Writes, in place, the load command that announces a signature, and lets `__LINKEDIT` reach to its end.
 *
 * @throws Error when the file is signed already, or when no room is left after its load commands.
 */
export function announceSignature(bytes: Buffer, signature: { offset: number; sizeBytes: number }): void {
  if (findSignature(bytes) !== null) throw new Error('the Mach-O file is signed already');
  const commandsSizeBytes = bytes.readUInt32LE(20);
  const at = headerSizeBytes + commandsSizeBytes;
  if (bytes.subarray(at, at + codeSignatureCommandSizeBytes).some((byte) => byte !== 0)) {
    throw new Error('no room for another load command in the Mach-O file');
  }
  bytes.writeUInt32LE(codeSignatureCommand, at);
  bytes.writeUInt32LE(codeSignatureCommandSizeBytes, at + 4);
  bytes.writeUInt32LE(signature.offset, at + 8);
  bytes.writeUInt32LE(signature.sizeBytes, at + 12);
  bytes.writeUInt32LE(bytes.readUInt32LE(16) + 1, 16);
  bytes.writeUInt32LE(commandsSizeBytes + codeSignatureCommandSizeBytes, 20);

  const linkEdit = readSegment(bytes, '__LINKEDIT');
  const sizeBytes = signature.offset + signature.sizeBytes - linkEdit.fileOffset;
  const mappedBytes = Math.ceil(sizeBytes / memoryPageSizeBytes) * memoryPageSizeBytes;
  bytes.writeBigUInt64LE(BigInt(mappedBytes), linkEdit.at + 32);
  bytes.writeBigUInt64LE(BigInt(sizeBytes), linkEdit.at + 48);
}

function readName(bytes: Buffer, at: number): string {
  return bytes.toString('latin1', at, at + 16).replace(/\0.*$/s, '');
}
