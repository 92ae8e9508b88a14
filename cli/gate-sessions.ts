// How those who come to a gate get their session: whoever is known gets one, in the view that he asked for; who is refused leaves a denial.

import { EraSession } from '../adapters/downstream/era-session.ts';
import { OpenRounds } from '../adapters/downstream/modern/open-rounds.ts';
import { deny } from '../domain/denial.ts';
import type { ClientSessions } from '../proxy/client-port.ts';
import { Conversation } from '../proxy/conversation.ts';
import type { Enforcement } from '../proxy/enforcement.ts';
import type { GateOptions } from './running-gate.ts';
import { Sightings } from './sightings.ts';

export function gateSessions(
  { folder, note, version, missingPolicyHint }: Pick<GateOptions, 'folder' | 'note' | 'version' | 'missingPolicyHint'>,
  enforcement: Enforcement,
): ClientSessions {
  const sightings = new Sightings(folder, note);
  const rounds = new OpenRounds(enforcement.clock, enforcement.crypto);
  return {
    // The view of a server that does not exist is one in which nothing is offered: so is that of a forbidden one, and nobody learns which.
    open: ({ principal }, view, ahead) =>
      new EraSession(enforcement, {
        principal,
        view,
        rounds,
        ahead: ahead !== undefined,
        version,
        hints: { missingPolicy: missingPolicyHint },
        // Only who stands on this machine is looked for here: of the others the ledger tells.
        onGreeted:
          principal.authentication !== 'local'
            ? undefined
            : (greeting) =>
                sightings.saw(
                  principal.agent,
                  view.kind === 'all' ? '*' : view.server,
                  greeting,
                  enforcement.clock.now(),
                ),
      }),
    refuse: async ({ principal }, view, code, detail) => {
      const conversation = new Conversation(enforcement, { principal, view, onNotice: () => {} });
      await conversation.refuse(deny(code, detail), '(message)');
      await conversation.close('disconnect');
    },
  };
}
