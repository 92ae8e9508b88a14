// Bounds on what programs and models may hand over here. What every call may have is in proxy/limits.ts and in its permit.

import type { JsonLimits } from '../../domain/strict-json.ts';
import { DEFAULT_JSON_LIMITS, JSON_DEPTH_MAX, JSON_NODES_MAX } from '../../proxy/limits.ts';

/** Arguments of one call, as those of a message. */
export const ARGUMENT_LIMITS: JsonLimits = DEFAULT_JSON_LIMITS;

/** One definition: the largest that was seen has 40 KiB. */
export const DEFINITION_LIMITS: JsonLimits = { bytesMax: 256 * 1024, depthMax: JSON_DEPTH_MAX, nodesMax: 50_000 };

/** Functions of one server. */
export const FUNCTIONS_MAX = 2_000;

/** Executions of one server that have not ended, those that were given up included: a function that never settles is then not begun again. */
export const EXECUTIONS_MAX = 1_024;

/** How long a function may still answer when it was told to stop, before its call counts as lost. */
export const STOP_GRACE_MS = 500;

/** Calls that one message of a model may ask for. Vendors allow some dozens. */
export const CALLS_PER_MESSAGE_MAX = 128;

/** What a model's API takes as the name of a tool: the narrowest of the common ones. */
export const NAME_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

/** What a function returned, within the bytes that its permit grants. */
export function valueLimits(bytesMax: number): JsonLimits {
  return { bytesMax, depthMax: JSON_DEPTH_MAX, nodesMax: JSON_NODES_MAX };
}
