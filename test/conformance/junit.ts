export type CaseStatus = 'passed' | 'failed' | 'skipped';

export interface ConformanceCase {
  /** Full name, its steps divided by slashes, with ` #2` and so on where the suite runs a step several times. */
  readonly name: string;
  readonly status: CaseStatus;
  /** What the suite says about a failure or a skip; empty for what passed. */
  readonly reason: string;
  /** The requests and answers that the suite recorded. */
  readonly exchange: string;
}

/**
 * Reads the JUnit report of the OCI conformance suite.
 * The report is the output of one known program, so a few patterns do where a general XML parser would be a dependency.
 * Throws when the number of cases is not the one that the report states.
 */
export function parseJunit(xml: string): ConformanceCase[] {
  const seen = new Map<string, number>();
  const cases: ConformanceCase[] = [];
  for (const [, attributes = '', body = ''] of xml.matchAll(
    /<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g,
  )) {
    const plainName = attribute(attributes, 'name');
    const count = (seen.get(plainName) ?? 0) + 1;
    seen.set(plainName, count);
    const status = caseStatus(attribute(attributes, 'status'));
    const exchange = element(body, 'system-err');
    cases.push({
      name: count === 1 ? plainName : `${plainName} #${count}`,
      status,
      reason: status === 'passed' ? '' : element(body, 'system-out') || skipReason(exchange),
      exchange,
    });
  }
  if (cases.length === 0) throw new Error('the report of the conformance suite holds no test case');
  return cases;
}

function caseStatus(status: string): CaseStatus {
  if (status === 'passed' || status === 'skipped') return status;
  return 'failed';
}

function attribute(text: string, name: string): string {
  return unescapeXml(new RegExp(`(?:^| )${name}="([^"]*)"`).exec(text)?.[1] ?? '');
}

function element(text: string, name: string): string {
  return unescapeXml(new RegExp(`<${name}>([\\s\\S]*?)</${name}>`).exec(text)?.[1] ?? '').trim();
}

/** A step that the configuration turned off reports why in its output, not as an error. */
function skipReason(exchange: string): string {
  return /skipping test:\s*([\s\S]*)$/.exec(exchange)?.[1]?.trim() ?? '';
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

function unescapeXml(text: string): string {
  return text.replaceAll(/&(?:#x([0-9A-Fa-f]+)|#(\d+)|(\w+));/g, (whole, hex, decimal, name) => {
    if (typeof hex === 'string') return String.fromCodePoint(Number.parseInt(hex, 16));
    if (typeof decimal === 'string') return String.fromCodePoint(Number(decimal));
    return entities[String(name)] ?? String(whole);
  });
}
