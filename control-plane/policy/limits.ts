// Bounds on everything of the policy that can grow. A bundle or a request beyond one of them is refused, never cut.

/** Manifests in practice are a few kilobytes; a megabyte is somebody's mistake. */
export const MANIFEST_BYTES_MAX = 1024 * 1024;

/** One rule. Twice what other gateways allow; beyond it a rule is not readable. */
export const POLICY_BYTES_MAX = 16 * 1024;

/** All rules together. */
export const POLICIES_BYTES_MAX = 2 * 1024 * 1024;

/** Brackets inside brackets. The engine's parser overflows its stack at about 200, and poisons its memory with that. */
export const POLICY_NESTING_MAX = 64;

/** `&&`, `||`, `!`, `-` and `if` in one rule: chains nest without brackets. Measured: the parser overflows at about 400 `&&`. */
export const POLICY_OPERATORS_MAX = 128;

/** Dots in a row: `a.b.c`. Measured: the parser overflows at about 500. */
export const POLICY_CHAIN_MAX = 32;

/** `*` in one pattern. Matching takes time proportional to their number times the text: 100 ms for 8 of them on 256 KiB. */
export const POLICY_WILDCARDS_MAX = 8;

/** Arguments as the rules see them. The engine's recursion ends at about 120. */
export const ARGUMENT_DEPTH_MAX = 32;
export const ARGUMENT_NODES_MAX = 10_000;
export const CONTEXT_BYTES_MAX = 256 * 1024;

/** Depth to which the schema of a tool's input is exposed to rules; deeper parts are hidden, not refused. */
export const SHAPE_DEPTH_MAX = 8;
export const SHAPE_FIELDS_MAX = 256;

/** Values that one fact may select from the arguments of one call. */
export const FACT_VALUES_MAX = 1_000;

/** PATH_MAX of Linux. */
export const PATH_BYTES_MAX = 4_096;

/** Segments of all paths of one fact. Each may cost two looks at the file system, a few microseconds each. */
export const PATH_SEGMENTS_MAX = 8_192;

export const URL_BYTES_MAX = 8_192;

/** Hard limit on the life of a permit, whatever the manifest says. */
/** Permits count whole seconds; below two, rounding could leave nothing. */
export const PERMIT_TTL_MS_MIN = 2_000;
export const PERMIT_TTL_MS_MAX = 60_000;
export const PERMIT_TTL_MS_DEFAULT = 15_000;

/** A tool's time to answer where the manifest names none. Half of what common clients wait, who so hear why a call was ended. */
export const CALL_TIMEOUT_MS_DEFAULT = 30_000;
export const CALL_TIMEOUT_MS_MAX = 3_600_000;

/** Running calls are looked at once a second: a shorter silence could not be told. */
export const IDLE_TIMEOUT_MS_MIN = 1_000;

/** A tool's answer where the manifest names nothing. */
export const CALL_OUTPUT_BYTES_DEFAULT = 1024 * 1024;
export const CALL_OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** A turn of the server lasts as much longer. */
export const CANCEL_GRACE_MS_MAX = 60_000;

/** As many as the gate has in progress at all; a server of which the manifest says nothing has no bound of its own. */
export const CALL_CONCURRENCY_MAX = 1_024;

/** For how long a use of a group may count against what comes after it. */
export const USED_MS_MIN = 1_000;
export const USED_MS_MAX = 86_400_000;
