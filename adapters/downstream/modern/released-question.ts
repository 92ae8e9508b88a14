// A client of this era as the one who is asked by a server's answer. The question leaves with that answer, so that it was released is all that
// is known now: the client's own answer comes with its next request, and is governed there.

import type { Peer } from '../../../proxy/tool-server.ts';

export const RELEASED: Peer = {
  dispatch: () => ({
    answer: Promise.resolve({ kind: 'result', type: 'input_required', result: {}, bytes: 0 }),
    cancel: () => {},
  }),
};
