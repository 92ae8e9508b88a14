// The names under which a view offers tools. In the view of one server they are the server's own; in the view of all they are qualified, so
// that two servers can never be confused. Exact match only: no normalisation.

import type { Catalogue, PinnedTool } from './catalogue.ts';
import type { ViewName } from './client-port.ts';

const SEPARATOR = '__';

export function exposedName(view: ViewName, server: string, tool: string): string {
  return view.kind === 'server' ? tool : `${server}${SEPARATOR}${tool}`;
}

/** The pinned tools of a view, in the order of the configuration. */
export function toolsOf(view: ViewName, catalogue: Catalogue): readonly PinnedTool[] {
  return catalogue.servers().flatMap((server) => {
    if (view.kind === 'server' && server.name !== view.server) return [];
    return [...server.tools.values()];
  });
}

/** What a client's name for a tool means. Server names contain no separator, so the first one ends the server's name. */
export function resolveName(
  view: ViewName,
  name: string,
): { readonly server: string; readonly tool: string } | undefined {
  if (view.kind === 'server') return { server: view.server, tool: name };
  const at = name.indexOf(SEPARATOR);
  if (at <= 0) return undefined;
  return { server: name.slice(0, at), tool: name.slice(at + SEPARATOR.length) };
}
