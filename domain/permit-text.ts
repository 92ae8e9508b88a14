// A permit as text, taken apart. Nothing here is verified: see proxy/permit-checks.ts.

import { PERMIT_CHARACTERS_MAX, type PermitClaims, permitClaimsProblem, permitHeaderProblem } from './permit.ts';
import { type SignedText, signedTextReader } from './signed-text.ts';

export type PermitText = SignedText<PermitClaims>;

export const readPermitText = signedTextReader<PermitClaims>({
  charactersMax: PERMIT_CHARACTERS_MAX,
  headerProblem: permitHeaderProblem,
  claimsProblem: permitClaimsProblem,
});
