// Which eras are tried with a server, as the configuration says it, and the connections that follow from that.

import type { Era, ToolServer } from '../../proxy/tool-server.ts';
import { DualServer, type Probing } from './dual-server.ts';

/** `auto`: found out. `both`: spoken side by side, for a process two processes. */
export type EraChoice = 'auto' | Era | 'both';

/** `probing`: how it is found out on this transport. No connection is made before the server is started. */
export function inEra(
  name: string,
  choice: EraChoice,
  probing: Exclude<Probing, 'both'>,
  link: (era: Era) => ToolServer,
): ToolServer {
  if (choice === 'legacy' || choice === 'modern') return link(choice);
  const links = { legacy: link('legacy'), modern: link('modern') };
  return new DualServer({ name, links, probing: choice === 'both' ? 'both' : probing });
}
