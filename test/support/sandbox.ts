// Whether sandboxes can be tested here. Under CI they must be; elsewhere the names of the tests say why they are not.

import { findSandbox } from '../../adapters/sandbox/machine.ts';

export const FOUND = await findSandbox();

if (!FOUND.ok && process.env.CI === 'true') throw new Error(`no sandbox can be made here: ${FOUND.reason}`);

/** For the name of a test that needs one. */
export const SKIPPED = FOUND.ok ? '' : ` (skipped: ${FOUND.reason})`;
