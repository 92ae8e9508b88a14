// What goes around a message in 2026-07-28, where every request says by itself who sends it and every result what kind it is. The rest of
// the gate knows neither: the envelope is put on here for this one hop, and taken off again.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import { MODERN_REVISION } from '../../../proxy/method-table.ts';
import type { ClientCapabilities, Manner, ToolAnswer } from '../../../proxy/tool-server.ts';

const KEY = 'io.modelcontextprotocol/';
export const TASKS_EXTENSION = `${KEY}tasks`;
const SUBSCRIPTION_ID = `${KEY}subscriptionId`;
const SERVER_INFO = `${KEY}serverInfo`;

/** What a client can be asked through us. Of its other abilities a server hears nothing, so that it does not count on them. */
const CARRIED = ['sampling', 'elicitation', 'roots'] as const;

const TYPES = ['complete', 'input_required', 'task'] as const;

/** The members of `_meta` that describe this hop. `onBehalf` is absent for requests of our own. */
export function envelope(clientInfo: JsonObject, onBehalf?: Manner): JsonObject {
  const logLevel = onBehalf?.logLevel === undefined ? {} : { [`${KEY}logLevel`]: onBehalf.logLevel };
  return {
    [`${KEY}protocolVersion`]: MODERN_REVISION,
    [`${KEY}clientCapabilities`]: onBehalf === undefined ? {} : carried(onBehalf),
    [`${KEY}clientInfo`]: clientInfo,
    ...logLevel,
  };
}

function carried({ capabilities, era }: Manner): ClientCapabilities {
  const able: Record<string, Json> = {};
  for (const name of CARRIED) if (isJsonObject(capabilities[name])) able[name] = capabilities[name];
  return takesTasks(capabilities, era) ? { ...able, extensions: { [TASKS_EXTENSION]: tasksOf(capabilities) } } : able;
}

/** An extension of this era: a client of the other one could not read what it brings. */
function takesTasks(capabilities: ClientCapabilities, era: Manner['era']): boolean {
  return era === 'modern' && isJsonObject(tasksOf(capabilities));
}

function tasksOf({ extensions }: ClientCapabilities): Json {
  return (isJsonObject(extensions) ? extensions[TASKS_EXTENSION] : undefined) ?? null;
}

/**
 * The neutral form of a server's answer. A kind that nobody asked for or that the revision does not know stays written in the result, and
 * the gate refuses it; a result that does not say its kind is refused here.
 */
export function neutralAnswer(answer: ToolAnswer, { capabilities, era }: Manner): ToolAnswer {
  if (answer.kind !== 'result') return answer;
  const { resultType, ...result } = answer.result;
  if (resultType === undefined)
    return { kind: 'refused', code: 'OUTPUT_INVALID', detail: 'the result has no resultType', bytes: answer.bytes };
  const type = TYPES.find((known) => known === resultType);
  if (type === undefined || (type === 'task' && !takesTasks(capabilities, era))) return answer;
  return { ...answer, result: withoutServerInfo(result), type };
}

/** Who answered is said anew on the next hop. */
function withoutServerInfo(result: JsonObject): JsonObject {
  const { _meta: meta, ...rest } = result;
  if (!isJsonObject(meta) || !Object.hasOwn(meta, SERVER_INFO)) return result;
  const { [SERVER_INFO]: _said, ...others } = meta;
  return Object.keys(others).length === 0 ? rest : { ...rest, _meta: others };
}

export function serverInfoOf({ _meta: meta }: JsonObject): JsonObject {
  const said = isJsonObject(meta) ? meta[SERVER_INFO] : undefined;
  return isJsonObject(said) ? said : {};
}

/** The request to which a notification of a subscription belongs. */
export function subscriptionOf({ _meta: meta }: JsonObject): Json | undefined {
  return isJsonObject(meta) ? meta[SUBSCRIPTION_ID] : undefined;
}

/** The params of a notification as those know it who never heard of the subscription. */
export function withoutSubscription(params: JsonObject): JsonObject {
  const { _meta: meta, ...rest } = params;
  if (!isJsonObject(meta)) return params;
  const { [SUBSCRIPTION_ID]: _id, ...others } = meta;
  return Object.keys(others).length === 0 ? rest : { ...rest, _meta: others };
}
