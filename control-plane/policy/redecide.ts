// A recorded decision, made again: the same rules on what they saw then. Facts are taken from the record, because the file system that gave
// them may have changed since; everything else is worked out anew.

import { actionId } from '../../domain/action.ts';
import { isJsonObject, type Json } from '../../domain/json.ts';
import type { AuthorizationRequest } from '../authorization.ts';
import { readArguments } from './arguments.ts';
import type { Bundle } from './bundle.ts';
import { type Circumstances, encodeContext } from './context.ts';
import { argumentReader, conclude, type Decision, questionOf } from './decide.ts';
import type { PolicyEngine } from './ports.ts';
import { readHistory } from './recorded-history.ts';

/** What the record holds of a request. */
export type RecordedRequest = Pick<
  AuthorizationRequest,
  'method' | 'server' | 'tool' | 'principal' | 'argumentsJson' | 'limits'
>;

/** Decides again, or says why the record does not suffice. May throw what the engine throws. */
export function redecide(
  bundle: Bundle,
  request: RecordedRequest,
  inputJson: string,
  engine: PolicyEngine,
): Decision | { readonly unusable: string } {
  const tool = bundle.model.actions.get(actionId(request.method, request.server, request.tool));
  if (tool === undefined) return { unusable: 'the tool is not part of the recorded policy' };
  const args = readArguments(request.argumentsJson, tool.input);
  if (!args.ok) return { unusable: `the recorded arguments cannot be read: ${args.denial.detail ?? args.denial.code}` };
  const circumstances = readCircumstances(JSON.parse(inputJson) as Json);
  if (circumstances === undefined) return { unusable: 'the recorded input is not the input of a decision' };
  if ((circumstances.history === undefined) !== (bundle.manifest.history === undefined))
    return { unusable: 'the recorded input does not say what was done before' };
  const { namespace } = bundle.model;
  const encoded = encodeContext(namespace, tool.input, args.args, circumstances, argumentReader(bundle, tool));
  if (!encoded.ok)
    return { unusable: `the recorded input does not fit: ${encoded.denial.detail ?? encoded.denial.code}` };
  const roles = [...request.principal.roles].sort();
  const { agent } = request.principal;
  const above = circumstances.path.slice(0, -1);
  const question = questionOf(bundle, tool, { agent, roles }, above, encoded.context);
  return conclude(bundle, request, inputJson, engine.evaluate(question));
}

/** What `decide` recorded beside the arguments, or undefined when it is not that. */
function readCircumstances(input: Json): Circumstances | undefined {
  if (!isJsonObject(input)) return undefined;
  const { facts, lineage, governance, approvals, history } = input;
  if (!isJsonObject(facts) || !isJsonObject(lineage) || !isJsonObject(governance)) return undefined;
  const { depth, path } = lineage;
  const { state, epoch } = governance;
  const rootAgent = entityId(lineage.rootAgent);
  const agents = Array.isArray(path) ? (path as readonly Json[]).map(entityId) : [];
  const granted = Array.isArray(approvals) ? (approvals as readonly Json[]) : [];
  if (typeof depth !== 'number' || typeof state !== 'string' || typeof epoch !== 'number' || rootAgent === undefined)
    return undefined;
  return {
    facts,
    depth,
    rootAgent,
    path: agents.filter((agent) => agent !== undefined),
    approvals: granted.filter((approval) => typeof approval === 'string'),
    state,
    epoch,
    history: readHistory(history),
  };
}

function entityId(value: Json | undefined): string | undefined {
  const entity = isJsonObject(value) ? value.__entity : undefined;
  return isJsonObject(entity) && typeof entity.id === 'string' ? entity.id : undefined;
}
