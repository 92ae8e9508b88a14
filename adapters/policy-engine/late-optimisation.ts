// V8 optimises a WebAssembly function once it has run for a while. Parsing and validating a policy at the start uses up that while in
// hundreds of functions that hardly run again, and optimising them keeps every processor busy just when clients wait. This import makes it
// wait longer, for the process: what decides call after call is still optimised, after about a thousand decisions.

import { setFlagsFromString } from 'node:v8';

/** The last major version in which the flag is known to exist. A later one would print a complaint and change nothing. */
const KNOWN_MAJOR_MAX = 24;

/** V8's own are 1.8 million (Node 20) and 13 million. From 50 million on, starting optimises nothing; 100 leaves room for larger policies. */
const BUDGET = 100_000_000;

if (Number.parseInt(process.versions.node, 10) <= KNOWN_MAJOR_MAX) {
  setFlagsFromString(`--wasm-tiering-budget=${BUDGET}`);
}
