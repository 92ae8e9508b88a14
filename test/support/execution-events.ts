// One plausible event of each type, for walking the machine.

import type { CallRequested, ExecutionEvent, ExecutionEventType } from '../../state-machines/execution-events.ts';
import { commitmentOf } from './commitments.ts';

export const REQUESTED: CallRequested = {
  type: 'call.requested',
  at: 1_790_000_000_000,
  call: '01KAJ0000000000000000000AA',
  method: 'tools/call',
  server: 'fs',
  tool: 'read_file',
  principal: {
    agent: 'coder',
    roles: ['dev'],
    root: true,
    authentication: 'local',
    connection: commitmentOf('connection'),
  },
  args: { commitment: commitmentOf('args'), bytes: 2 },
  lineage: { root: '01KAJ0000000000000000000AA', node: '01KAJ0000000000000000000AA', parent: null, depth: 0 },
};

export const EVENTS: { readonly [T in ExecutionEventType]: Extract<ExecutionEvent, { type: T }> } = {
  'decision.allowed': {
    type: 'decision.allowed',
    policy: commitmentOf('policy'),
    by: ['fs-read'],
    obligations: [],
    input: { commitment: commitmentOf('input'), bytes: 2 },
    permit: 'a.b.c',
  },
  'decision.denied': { type: 'decision.denied', code: 'POLICY_NO_PERMIT', by: [] },
  'permit.verified': { type: 'permit.verified', jti: '01KAJ0000000000000000000AB' },
  'permit.refused': { type: 'permit.refused', code: 'PERMIT_EXPIRED' },
  'intent.recorded': { type: 'intent.recorded', seq: 1 },
  'dispatch.refused': { type: 'dispatch.refused', code: 'GOV_EPOCH_MISMATCH' },
  'tool.answered': {
    type: 'tool.answered',
    ms: 3,
    isError: false,
    result: { commitment: commitmentOf('result'), bytes: 9 },
  },
  'output.refused': { type: 'output.refused', ms: 3, code: 'OUTPUT_INVALID' },
  'tool.lost': { type: 'tool.lost' },
  'outcome.recorded': { type: 'outcome.recorded', seq: 2 },
  'denial.recorded': { type: 'denial.recorded', seq: 2 },
  'record.failed': { type: 'record.failed', code: 'GOV_LEDGER_UNWRITABLE' },
  'call.cancelled': { type: 'call.cancelled', by: 'client' },
  'deadline.passed': { type: 'deadline.passed' },
  'authority.withdrawn': { type: 'authority.withdrawn', code: 'REVOKED_AGENT' },
  'fault.occurred': { type: 'fault.occurred', code: 'POLICY_ENGINE_FAULT' },
  'gate.restarted': { type: 'gate.restarted', epoch: 2 },
};
