import type { TLSSocket } from 'node:tls';
import type { FastifyRequest } from 'fastify';
import type { AccessRequest } from '#access';
import type { RawRequest } from './body.ts';
import { forwardedForOf, peerAddressOf } from './client-address.ts';

/** The facts of a request for the access module; what few ask for is worked out when it is asked for. */
export class HttpAccessRequest implements AccessRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: AccessRequest['headers'];
  readonly peerAddress: string;
  readonly clientAddress: string;
  #raw: RawRequest;
  /** Asked for several times on the way of a request. */
  #authorization: readonly string[] | null = null;

  constructor(request: FastifyRequest) {
    const { raw } = request;
    this.#raw = raw;
    this.method = raw.method ?? '';
    this.url = request.originalUrl;
    this.headers = raw.headers;
    this.peerAddress = peerAddressOf(raw);
    this.clientAddress = request.course.clientAddress;
  }

  get authorization(): readonly string[] {
    this.#authorization ??=
      this.headers.authorization === undefined ? [] : rawValues(this.#raw, 'authorization');
    return this.#authorization;
  }

  get forwardedFor(): readonly string[] {
    return forwardedForOf(this.headers);
  }

  get tlsVersion(): string | null {
    const protocol = this.#tlsSocket()?.getProtocol();
    return protocol === undefined || protocol === null ? null : protocol.replace(/^TLSv(1)$|^TLSv/, '$1');
  }

  get peerCertificate(): Buffer | null {
    const socket = this.#tlsSocket();
    if (socket === null || !socket.authorized) return null;
    return socket.getPeerX509Certificate()?.raw ?? null;
  }

  get userAgent(): string {
    return (this.headers['user-agent'] as string | undefined) ?? '';
  }

  #tlsSocket(): TLSSocket | null {
    const { socket } = this.#raw;
    return 'getPeerCertificate' in socket ? socket : null;
  }
}

/** Every value of a header, also where Node keeps the first only. */
function rawValues(request: RawRequest, name: string): string[] {
  const { rawHeaders } = request;
  const values: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const found = rawHeaders[at];
    if (found?.length === name.length && found.toLowerCase() === name) values.push(rawHeaders[at + 1] ?? '');
  }
  return values;
}
