// Why there is no token, in words for the operator. What an authorization server writes is hostile text, and an answer of its token endpoint
// may hold a token: nothing of either is repeated, but for the protocol's own error codes.

import { visibleText } from '../../../../domain/visible-text.ts';

/** The sentence goes to the operator and into denials. It never holds a secret. */
export class AuthorizationRefused extends Error {
  override readonly name = 'AuthorizationRefused';
  /** Trying again without a person would end the same way. */
  readonly final: boolean;

  constructor(message: string, options: { readonly final?: boolean } = {}) {
    super(message);
    this.final = options.final ?? true;
  }
}

/** RFC 6749 section 5.2, and its extensions keep to it. */
const ERROR_CODE = /^[a-z_]{1,64}$/;
/** The authorization server is ailing, and may be well again later. */
const PASSING = new Set(['server_error', 'temporarily_unavailable', 'slow_down', 'too_many_requests']);

/** Whatever was thrown on the way to a token, as a refusal that can be shown. */
export function refusalOf(error: unknown): AuthorizationRefused {
  if (error instanceof AuthorizationRefused) return error;
  if (!(error instanceof Error)) return new AuthorizationRefused('something failed without a reason', { final: false });
  const { code, status } = error as { code?: unknown; status?: unknown };
  switch (error.name) {
    case 'SyntaxError':
      return new AuthorizationRefused('the authorization server answered with something that is not JSON');
    case 'ZodError':
      return new AuthorizationRefused('an answer of the authorization server lacks what the protocol requires');
    case 'IssuerMismatchError':
      return new AuthorizationRefused('the issuer that answered is not the issuer that was asked');
    case 'RegistrationRejectedError':
      return new AuthorizationRefused(`the authorization server did not register us (HTTP ${Number(status)})`);
  }
  if (typeof code === 'string' && ERROR_CODE.test(code))
    return new AuthorizationRefused(`the authorization server answered ${code}`, { final: !PASSING.has(code) });
  // The SDK's own sentences name what is missing, and the address at most.
  return new AuthorizationRefused(visibleText(error.message, 200), { final: error.message.startsWith('Incompatible') });
}
