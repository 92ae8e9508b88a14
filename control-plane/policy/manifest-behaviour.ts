// What portcullis.yaml may say of behaviour: how much of what goes wrong is too much, and what rules may ask about earlier calls.

import { z } from 'zod';
import { COUNT_MAX, COUNT_MIN, WINDOW_MS_MAX, WINDOW_MS_MIN } from '../anomaly/limits.ts';
import { USED_MS_MAX, USED_MS_MIN } from './limits.ts';

const tooMany = z.int().min(COUNT_MIN).max(COUNT_MAX).optional();

const misdeeds = {
  windowMs: z.int().min(WINDOW_MS_MIN).max(WINDOW_MS_MAX).optional(),
  denials: tooMany,
  errors: tooMany,
  timeouts: tooMany,
};

/** From when on an agent or a server is set aside; what is not said has a number all the same. */
export const ANOMALIES = z.strictObject({
  agents: z.strictObject(misdeeds).optional(),
  servers: z.strictObject({ ...misdeeds, restarts: tooMany }).optional(),
});

/** Rules may ask what was done before. */
export const HISTORY = z.strictObject({
  /** Groups of which they may ask whether something was used lately, and for how long that counts. */
  used: z.record(z.string(), z.int().min(USED_MS_MIN).max(USED_MS_MAX)).optional(),
});
