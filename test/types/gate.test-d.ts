// What the compiler refuses. This file is only checked, never run: each line under an expectation is an error, or the check fails.

import type { EntryBody } from '../../domain/entry.ts';
import type { CapturedCall } from '../../proxy/captured-call.ts';
import type { Gate, RecordedCall, VerifiedPermit } from '../../proxy/gate.ts';
import type { ToolServer } from '../../proxy/tool-server.ts';
import { QUIET } from '../support/hooks.ts';

declare const gate: Gate;
declare const verified: VerifiedPermit;
declare const recorded: RecordedCall;
declare const captured: CapturedCall;
declare const intent: EntryBody;
declare const anything: unknown;
declare const jws: string;
declare const claims: { readonly jti: string; readonly aud: string };
declare const servers: ReadonlyMap<string, ToolServer>;
// The way in.
gate.execute(recorded, QUIET);
gate.record(verified, intent, []);
gate.conclude(recorded, intent, []);

// Verified is not yet recorded, and recorded is not verified anew.
// @ts-expect-error
gate.execute(verified, QUIET);
// @ts-expect-error
gate.conclude(verified, intent, []);
// @ts-expect-error
gate.record(recorded, intent, []);

// Neither the permit, nor what it says, nor a captured call opens the door.
// @ts-expect-error
gate.execute(jws, QUIET);
// @ts-expect-error
gate.execute(claims, QUIET);
// @ts-expect-error
gate.execute(captured, QUIET);
// @ts-expect-error
gate.record(jws, intent, []);
// @ts-expect-error
gate.record(claims, intent, []);
// @ts-expect-error
gate.record(captured, intent, []);

// Nobody else can make one.
// @ts-expect-error
gate.execute({}, QUIET);
// @ts-expect-error
gate.record({}, intent, []);
// @ts-expect-error
gate.execute({ ...verified }, QUIET);
// @ts-expect-error
gate.execute(Object.freeze({}), QUIET);
// @ts-expect-error
gate.execute(anything, QUIET);
// @ts-expect-error
gate.execute(undefined, QUIET);
// @ts-expect-error
const made: RecordedCall = {};
// @ts-expect-error
const named: RecordedCall = { recordedCall: true };
// @ts-expect-error
const promoted: RecordedCall = verified;
// @ts-expect-error
const demoted: VerifiedPermit = recorded;
// @ts-expect-error
const guessed: RecordedCall = { [Symbol('recordedCall')]: undefined as never };
// @ts-expect-error
new RecordedCall();

// A verdict has to be looked at before it is used.
const verification = await gate.verify(jws, captured);
// @ts-expect-error
gate.record(verification.verified, intent, []);
const recording = await gate.record(verified, intent, []);
// @ts-expect-error
gate.execute(recording.recorded, QUIET);

// The gate shows nothing of what it holds.
// @ts-expect-error
gate.verified;
// @ts-expect-error
gate.ports;

// A server hears calls under no other name than the one that the gate uses (test/unit/architecture.test.ts says who may).
// @ts-expect-error
servers.get('fs')?.call(recorded);

export { demoted, guessed, made, named, promoted };
