// V8 may compile a call into WebAssembly into the function that makes it. In Node 20 and 22, when such a function is deoptimised during the
// call and the call returns an object, V8 aborts the whole process ("unreachable code"). The engine returns objects, and what it is handed
// can cause deoptimisation, so this import forbids it, for the process. It costs well under a microsecond a call.

import { setFlagsFromString } from 'node:v8';

/** The last major version in which the flag is known to exist. A later one would print a complaint and change nothing. */
const KNOWN_MAJOR_MAX = 24;

if (Number.parseInt(process.versions.node, 10) <= KNOWN_MAJOR_MAX) {
  setFlagsFromString('--no-turbo-inline-js-wasm-calls');
}
