// What passes between the gate's thread and a thread that checks values against the schemas of tools.

import type { Denial } from '../../domain/denial.ts';
import type { ToolSchemas } from './tool-schemas.ts';

export type SchemaKind = 'input' | 'output';

export type ToCheckThread =
  /** Which schemas there are, by the id of the action. Replaces what was said before. */
  | { readonly type: 'tools'; readonly tools: readonly (readonly [string, ToolSchemas])[] }
  /** `json` was serialised by us. One at a time. */
  | { readonly type: 'check'; readonly kind: SchemaKind; readonly action: string; readonly json: string };

export type FromCheckThread =
  /** Everything is loaded. `task` names the thread to the system. */
  | { readonly type: 'warm'; readonly task: string | undefined }
  /** The schema is compiled, or cannot be; the value is looked at now. */
  | { readonly type: 'compiled' }
  | { readonly type: 'checked'; readonly denial: Denial | undefined };
