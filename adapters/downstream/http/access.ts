// Who may use the listener, in the words of HTTP: the names it is known by, the pages that may talk to it, the credential that is asked
// for. Every way in passes here, whatever is spoken afterwards; what may be done once inside is not decided here.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { DENIALS, type Denial } from '../../../domain/denial.ts';
import type { JsonObject } from '../../../domain/json.ts';
import type { Principal } from '../../../domain/principal.ts';
import { LINEAGE_HEADER } from '../../../proxy/own-name.ts';
import type { Authenticator, CredentialRefusal, CredentialRequest, Proven } from '../ports.ts';
import { hostsOf, originsOf } from './addresses.ts';
import { checkHost, checkOrigin, checkRepeatedHeaders, type HttpRefusal } from './request-checks.ts';
import { clientPin, type TlsIdentity } from './transport.ts';

/** Who may use the listener: whoever proves it, or, on a loopback address only, everybody on this machine as one principal. */
export type HttpAccess =
  | { readonly kind: 'authenticated'; readonly authenticator: Authenticator }
  | { readonly kind: 'local'; readonly principal: Principal };

export interface AccessOptions {
  readonly access: HttpAccess;
  /** Where it is there, TLS is spoken and nothing else. */
  readonly tls?: TlsIdentity;
  /** Values of `Host` besides the listener's own address, as clients send them: with the port unless it is the scheme's own. */
  readonly publicHosts?: readonly string[];
  /** Scheme, host and port under which clients reach us, where these are not what they see of the listener itself. */
  readonly publicUrl?: string;
  /** Origins of browser pages that may talk to us, besides our own. */
  readonly origins?: readonly string[];
}

/** Who sends a request, and for how long what it opens may stay open without another one. */
export interface Admitted {
  readonly principal: Principal;
  /** Unix milliseconds. */
  readonly until?: number | undefined;
}

export class Access {
  readonly #options: AccessOptions;
  #hosts: ReadonlySet<string> = new Set();
  #origins: ReadonlySet<string> = new Set();
  #closing = false;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** What clients see of the listener itself. */
  get scheme(): 'http' | 'https' {
    return this.#options.tls === undefined ? 'http' : 'https';
  }

  /** Before this nobody is let in: no name is known. */
  listeningOn(address: string, port: number): void {
    const { publicHosts = [], publicUrl, origins = [] } = this.#options;
    this.#hosts = hostsOf(
      address,
      port,
      publicUrl === undefined ? publicHosts : [...publicHosts, new URL(publicUrl).host],
      this.scheme,
    );
    this.#origins = originsOf(address, port, origins, this.scheme);
  }

  /** From here on nobody new is let in. */
  close(): void {
    this.#closing = true;
  }

  /** Whether the request was meant for us, by somebody who may talk to us at all. */
  checkAddressed({ rawHeaders, headers }: IncomingMessage): HttpRefusal | undefined {
    return (
      checkRepeatedHeaders(rawHeaders) ??
      checkHost(headers.host, this.#hosts) ??
      checkOrigin(headers.origin, this.#origins) ??
      (this.#closing ? CLOSING : undefined)
    );
  }

  /** Asked for every request again. Never rejects. */
  async authenticate(request: IncomingMessage): Promise<Admitted | HttpRefusal> {
    const { access } = this.#options;
    if (access.kind === 'local') return { principal: access.principal };
    let answer: Proven | CredentialRefusal;
    try {
      answer = await access.authenticator.authenticate(this.#credentialOf(request));
    } catch {
      // Whatever went wrong there, nobody has proved anything.
      return UNAUTHENTICATED;
    }
    if ('code' in answer) return challengeOf(answer);
    const { until, ...principal } = answer;
    return { principal, until };
  }

  /** What every answer to a request with a proof says besides, whatever the answer is. */
  announce(request: IncomingMessage, response: ServerResponse): void {
    const { access } = this.#options;
    if (access.kind === 'local' || request.headers.dpop === undefined) return;
    for (const [name, value] of Object.entries(access.authenticator.headers?.() ?? {})) response.setHeader(name, value);
  }

  /** What anybody may know about the resource at this path; undefined where there is nothing to know. */
  metadata(request: IncomingMessage, path: string): JsonObject | undefined {
    const { access } = this.#options;
    return access.kind === 'local' ? undefined : access.authenticator.metadata?.(this.#origin(request) + path);
  }

  #credentialOf(request: IncomingMessage): CredentialRequest {
    const { headers, method = '', url = '' } = request;
    const { authorization, dpop, [LINEAGE_HEADER]: lineage } = headers;
    return {
      authorization,
      proof: typeof dpop === 'string' ? dpop : undefined,
      certificate: clientPin(request.socket),
      lineage: typeof lineage === 'string' ? lineage : undefined,
      method,
      url: this.#origin(request) + url,
    };
  }

  /** Where clients know us to be: what is configured, or the `Host`, which is one of ours by now. */
  #origin({ headers }: IncomingMessage): string {
    return this.#options.publicUrl ?? `${this.scheme}://${headers.host ?? ''}`.toLowerCase();
  }
}

const CLOSING: HttpRefusal = { status: 503, message: 'The gate is closing' };
const UNAUTHENTICATED: HttpRefusal = {
  status: 401,
  message: DENIALS.ID_UNAUTHENTICATED.told,
  headers: { 'www-authenticate': 'Bearer' },
};

function challengeOf(refusal: CredentialRefusal): HttpRefusal {
  const { code, challenge } = refusal;
  if (challenge === undefined) return refusalOf(refusal);
  const { status, headers } = challenge;
  return { status, message: status === 403 ? 'Insufficient scope' : DENIALS[code].told, headers };
}

/** What somebody without a session is told of a denial: its class and nothing of its detail. */
export function refusalOf(denial: Denial): HttpRefusal {
  const { told, retry } = DENIALS[denial.code];
  if (denial.code === 'ID_UNAUTHENTICATED') return UNAUTHENTICATED;
  if (denial.code === 'SERVER_UNAVAILABLE' || denial.code === 'TOOL_UNKNOWN')
    return { status: 404, message: 'Not found' };
  return retry ? { status: 503, message: told, headers: { 'retry-after': '1' } } : { status: 403, message: told };
}
