// What a server offers besides tools: its prompts, resources and templates, all pages. What cannot be used for want of a name is left out.

import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import type { OfferKind } from '../../../proxy/tool-server.ts';
import type { UpstreamLimits } from '../limits.ts';
import { type AskForPage, readPages } from './pages.ts';

interface OfferList {
  readonly method: string;
  /** Without it a server has no such list. */
  readonly capability: 'prompts' | 'resources';
  /** What an item is used by. */
  readonly key: string;
  readonly called: string;
}

export const OFFER_LISTS: Readonly<Record<OfferKind, OfferList>> = {
  prompts: { method: 'prompts/list', capability: 'prompts', key: 'name', called: 'its list of prompts' },
  resources: { method: 'resources/list', capability: 'resources', key: 'uri', called: 'its list of resources' },
  resourceTemplates: {
    method: 'resources/templates/list',
    capability: 'resources',
    key: 'uriTemplate',
    called: 'its list of resource templates',
  },
};

/** Rejects when the list is too large or has no end. */
export async function readOffers(
  kind: OfferKind,
  ask: AskForPage,
  limits: UpstreamLimits,
): Promise<readonly JsonObject[]> {
  const { key, called } = OFFER_LISTS[kind];
  const items: JsonObject[] = [];
  await readPages(
    ask,
    {
      member: kind,
      called,
      take: (item) => {
        if (!isJsonObject(item) || typeof item[key] !== 'string' || item[key] === '') return;
        if (items.length >= limits.listOffersMax)
          throw new Error(`${called} has more than ${limits.listOffersMax} items`);
        items.push(item);
      },
    },
    limits,
  );
  return items;
}
