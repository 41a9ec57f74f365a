import type { Socket } from 'node:net';
import { hasBody } from './body.ts';
import type { RawRequest } from './body.ts';

/** How long an answered request may go on sending the body that nobody reads. */
const LINGER_MS = 3000;

/**
 * To be called before an answer is sent. A body that nobody reads is drained for a while, so that the client sees the
 * answer, and then cut off (RFC 9112 section 9.6).
 */
export function lingerOnBody(request: RawRequest): void {
  if (request.complete || !hasBody(request)) return;
  const settle = request.httpVersionMajor === 1 ? stayReadable(request.socket) : () => undefined;
  const timer = setTimeout(() => request.destroy(), LINGER_MS);
  timer.unref();
  request.once('close', () => clearTimeout(timer));
  request.once('end', () => {
    clearTimeout(timer);
    settle();
  });
  request.on('error', () => clearTimeout(timer));
  request.resume();
}

/**
 * Node destroys a connection as soon as its last answer is written, though the client may be in the middle of its
 * body: its next write would fail, and many clients (podman, skopeo and buildah, which ask for `Connection: close`)
 * then say "broken pipe" in place of what they were told. Ends only our side of the connection instead, until what is
 * returned is called.
 */
function stayReadable(socket: Socket): () => void {
  let isAnswered = false;
  socket.destroySoon = () => {
    isAnswered = true;
    socket.end();
  };
  return () => {
    // What stands on the prototype is Node's own again.
    Reflect.deleteProperty(socket, 'destroySoon');
    if (isAnswered) socket.destroySoon();
  };
}
