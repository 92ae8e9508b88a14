// Lets Node 20 run our sources in a worker thread of a test, where vitest does not reach.
// Use: new Worker('x.ts', { execArgv: ['--import', <this file>] }).

import { register } from 'node:module';

register(new URL('./typescript-hooks.mjs', import.meta.url));
