/** Which part of the server a sample of a CPU profile belongs to: for tables of where a request's time goes. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface ProfileNode {
  id: number;
  callFrame: { functionName: string; url: string };
  children?: number[];
}

export interface TimedProfile {
  nodes: ProfileNode[];
  /** Microseconds of the monotonic clock. */
  startTime: number;
  samples: number[];
  timeDeltas: number[];
}

/** Microseconds of the monotonic clock, as profiles are dated. */
export interface Window {
  fromUs: number;
  toUs: number;
}

interface Layer {
  name: string;
  /** Whether a frame, given as `function url`, belongs to it. */
  holds: RegExp;
}

/**
 * A sample belongs to the layer of the first frame, from the leaf up, that some layer holds: what a layer calls counts
 * for it unless another layer is named for that. The order decides where two hold one frame.
 */
const LAYERS: readonly Layer[] = [
  { name: 'collecting garbage', holds: /^\(garbage collector\) / },
  { name: 'SQLite: the manifest of the tag', holds: /src\/metadata\// },
  {
    name: 'handing the answer to the kernel (system call included)',
    holds: /^(?:writev|writeBuffer|writeUtf8String|writeLatin1String|handleWriteReq|writevGeneric) /,
  },
  { name: 'log line: pino', holds: /node_modules\/(?:pino|sonic-boom|safe-stable|thread-stream)/ },
  { name: 'log line: its fields', holds: /src\/http\/access-log|src\/lib\/log|^noteEnd / },
  { name: 'finding the route', holds: /node_modules\/find-my-way|src\/http\/rewrite-url/ },
  { name: 'fastify: hooks and reply', holds: /node_modules\/fastify/ },
  { name: 'rules of names, cache, count (src/registry, src/oci)', holds: /src\/(?:registry|oci|lib)\// },
  {
    name: 'identity and permission (src/access)',
    holds: /src\/access\/|src\/http\/(?:pipeline|access-request)/,
  },
  { name: 'headers of every answer, handler (src/http)', holds: /src\/http\// },
  {
    name: 'node: HTTP, its parser and headers',
    holds: /node:(?:_http|internal\/http)|^(?:parserOn|execute) /,
  },
  { name: 'node: sockets and streams', holds: /node:(?:net|internal\/stream|internal\/streams|stream)/ },
  {
    name: 'node: events, timers, promises',
    holds: /node:(?:events|internal\/timers|internal\/process|timers|internal\/util|internal\/async)/,
  },
  { name: 'in no JavaScript: reading sockets, waiting in epoll', holds: /^\(program\) / },
];

const SOURCE_ROOT = fileURLToPath(new URL('../../', import.meta.url));
const IDLE = '(idle) ';

export function readTimedProfile(path: string): TimedProfile {
  return JSON.parse(readFileSync(path, 'utf8')) as TimedProfile;
}

/** Microseconds by layer, of the samples within the window; what no layer holds is `other`. Idle time is left out. */
export function timeByLayer(profile: TimedProfile, window: Window): Map<string, number> {
  const layerOf = layersOf(profile);
  const byLayer = new Map<string, number>();
  let atUs = profile.startTime;
  profile.samples.forEach((id, index) => {
    const us = profile.timeDeltas[index] ?? 0;
    atUs += us;
    const layer = layerOf(id);
    if (layer === null || atUs < window.fromUs || atUs > window.toUs) return;
    byLayer.set(layer, (byLayer.get(layer) ?? 0) + us);
  });
  return byLayer;
}

/** The layer of each node, worked out once; `null` for idle time. */
function layersOf({ nodes }: TimedProfile): (id: number) => string | null {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(
    nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)),
  );
  const known = new Map<number, string | null>();
  const find = (id: number): string | null => {
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = frameOf(byId.get(at));
      if (frame === IDLE) return null;
      const layer = LAYERS.find(({ holds }) => holds.test(frame));
      if (layer !== undefined) return layer.name;
    }
    return 'other';
  };
  return (id) => {
    const found = known.get(id) ?? find(id);
    known.set(id, found);
    return found;
  };
}

function frameOf(node: ProfileNode | undefined): string {
  if (node === undefined) return '';
  const { functionName, url } = node.callFrame;
  const path = url.startsWith('file:') ? fileURLToPath(url).replace(SOURCE_ROOT, '') : url;
  return `${functionName} ${path}`;
}
