import { byteSize } from '#lib/byte-text';
import type { Totals } from './checked-repository.ts';
import type { Finding, Severity } from './finding.ts';

/** Findings kept for the JSON report; more are only counted. */
const KEPT_MAX = 10_000;

export interface CheckReport {
  /** Takes a finding as it is made. */
  add(finding: Finding): void;
  /** Gives how many there were of a severity. */
  count(severity: Severity): number;
  /** Gives the text that ends the report. */
  end(totals: Totals): string;
}

/** For people: each finding as it is made, and a summary. */
export class TextReport implements CheckReport {
  #write: (text: string) => void;
  #counts = { damage: 0, note: 0 };
  #deep: boolean;

  constructor(write: (text: string) => void, deep: boolean) {
    this.#write = write;
    this.#deep = deep;
  }

  add(finding: Finding): void {
    this.#counts[finding.severity] += 1;
    const { severity, kind, repository, digest, path, meaning, detail, remedy } = finding;
    const place = repository === null ? path : [repository, digest ?? path].join(' ');
    const facts = detail === '' ? '' : ` (${oneLine(detail)})`;
    this.#write(`${severity}: ${oneLine(place)}: ${kind}\n  ${meaning}${facts}\n  to mend it: ${remedy}\n`);
  }

  count(severity: Severity): number {
    return this.#counts[severity];
  }

  end(totals: Totals): string {
    const { damage, note } = this.#counts;
    const verdict = damage === 0 ? 'no damage' : `${damage} ${damage === 1 ? 'damage' : 'damages'}`;
    const notes = note === 0 ? '' : `, ${note} ${note === 1 ? 'note' : 'notes'}`;
    const depth = this.#deep ? '' : ' (blobs by presence and size; --deep reads them)';
    return `${verdict}${notes} in ${workDone(totals)}${depth}\n`;
  }
}

/** For programs: one JSON object at the end. */
export class JsonReport implements CheckReport {
  #findings: Finding[] = [];
  #counts = { damage: 0, note: 0 };
  #facts: { readonly folder: string; readonly deep: boolean };

  constructor(facts: { readonly folder: string; readonly deep: boolean }) {
    this.#facts = facts;
  }

  add(finding: Finding): void {
    this.#counts[finding.severity] += 1;
    if (this.#findings.length < KEPT_MAX) this.#findings.push(finding);
  }

  count(severity: Severity): number {
    return this.#counts[severity];
  }

  end(totals: Totals): string {
    const { damage, note } = this.#counts;
    const isTruncated = damage + note > this.#findings.length;
    const result = {
      ...this.#facts,
      sound: damage === 0,
      damages: damage,
      notes: note,
      ...totals,
      findings: this.#findings,
      ...(isTruncated ? { truncated: true } : {}),
    };
    return `${JSON.stringify(result, null, 2)}\n`;
  }
}

/** What was looked at, in words. */
export function workDone(totals: Totals): string {
  const { repositories, manifests, blobs, bytesRead } = totals;
  const noun = repositories === 1 ? 'repository' : 'repositories';
  return `${repositories} ${noun}, ${manifests} manifests, ${blobs} blobs, ${byteSize(bytesRead)} read`;
}

/** Names and texts of others must not write lines of their own, nor move the cursor. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ');
}
