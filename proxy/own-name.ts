// What only this gate may say: keys of `_meta` under one prefix. No peer's go on to another one, wherever in a message they stand, so that
// nobody denies, receives or allows anything in our name.

import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';

/** Keys that we set in `_meta`. No peer may use this prefix. */
export const META_PREFIX = 'dev.portcullis/';
/** Where a callee gets the token that it shows with its own calls. */
export const LINEAGE_KEY = `${META_PREFIX}lineage`;
/** The same as a header of HTTP, for those who do not get at `_meta`. In lower case, as it is looked up. */
export const LINEAGE_HEADER = 'portcullis-lineage';
/** Where a caller hands on less than it has. */
export const SCOPE_KEY = `${META_PREFIX}scope`;

const isOurs = (key: string): boolean => key.startsWith(META_PREFIX);

/** The first `_meta` key of a client's params that only this gate may set: any of ours but the two that are made for clients. */
export function reservedMeta({ _meta: meta }: JsonObject): string | undefined {
  const keys = isJsonObject(meta) ? Object.keys(meta) : [];
  return keys.find((key) => isOurs(key) && key !== LINEAGE_KEY && key !== SCOPE_KEY);
}

/** What a peer says, without what only we may say. */
export function notOurs(said: Json | undefined): JsonObject {
  if (said === undefined || !isJsonObject(said)) return {};
  return Object.fromEntries(Object.entries(said).filter(([key]) => !isOurs(key)));
}

/** A part of a message that has a `_meta` of its own, without our keys in it. The very same where there are none. */
export function notInOurName(part: JsonObject): JsonObject {
  const { _meta: meta } = part;
  return isJsonObject(meta) && Object.keys(meta).some(isOurs) ? { ...part, _meta: notOurs(meta) } : part;
}

/** The members of a result that hold such parts and change by that: what a task has come to, and the questions of an answer. */
export function partsNotInOurName({ result, inputRequests }: JsonObject): JsonObject {
  const changed: Record<string, Json> = {};
  if (isJsonObject(result) && notInOurName(result) !== result) changed.result = notInOurName(result);
  if (!isJsonObject(inputRequests)) return changed;
  const asked = Object.entries(inputRequests).map(([key, question]): [string, Json] => {
    const params = isJsonObject(question) && isJsonObject(question.params) ? question.params : {};
    return [
      key,
      notInOurName(params) === params ? question : { ...(question as JsonObject), params: notInOurName(params) },
    ];
  });
  const isClean = asked.every(([key, question]) => inputRequests[key] === question);
  return isClean ? changed : { ...changed, inputRequests: Object.fromEntries(asked) };
}
