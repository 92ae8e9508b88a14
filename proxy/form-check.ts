// Whether what a client filled in is what the server asked for: the flat schemas of elicitation forms, whose fields are texts, numbers,
// booleans and choices. A field that the form has no word about is as good as JSON Schema says: it may be there unless the form says otherwise.

import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';

/** Why a form must not go to the server, or undefined where it fits. What the schema says beyond these few words is not looked at. */
export function formFault(schema: JsonObject, content: JsonObject): string | undefined {
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  const required = Array.isArray(schema.required) ? (schema.required as readonly Json[]) : [];
  for (const name of required) {
    if (typeof name === 'string' && !Object.hasOwn(content, name)) return `${JSON.stringify(name)} is missing`;
  }
  for (const [name, value] of Object.entries(content)) {
    const field = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (field === undefined && schema.additionalProperties === false)
      return `${JSON.stringify(name)} was not asked for`;
    if (!fits(field === undefined ? {} : field, value)) return `${JSON.stringify(name)} is not what was asked for`;
  }
  return undefined;
}

function fits(field: Json, value: Json): boolean {
  if (!isJsonObject(field)) return false;
  switch (field.type) {
    case 'string':
      return typeof value === 'string' && isWithin(field, 'Length', [...value].length) && isChoice(field, value);
    case 'number':
      return typeof value === 'number' && isWithin(field, 'imum', value) && isChoice(field, value);
    case 'integer':
      return Number.isInteger(value) && isWithin(field, 'imum', value as number) && isChoice(field, value);
    case 'boolean':
      return typeof value === 'boolean' && isChoice(field, value);
    case 'array': {
      const { items } = field;
      return (
        Array.isArray(value) &&
        isWithin(field, 'Items', value.length) &&
        value.every((item) => typeof item === 'string' && (!isJsonObject(items) || isChoice(items, item)))
      );
    }
    default:
      // No field of a form has another type; without one the choices say what it is.
      return field.type === undefined && !isJsonObject(value) && !Array.isArray(value) && isChoice(field, value);
  }
}

function isWithin(field: JsonObject, what: 'Length' | 'imum' | 'Items', size: number): boolean {
  const { [`min${what}`]: least, [`max${what}`]: most } = field;
  return !(typeof least === 'number' && size < least) && !(typeof most === 'number' && size > most);
}

/** `enum`, or the titled choices of `oneOf` and `anyOf`. A field without any takes every value. */
function isChoice(field: JsonObject, value: Json): boolean {
  if (Array.isArray(field.enum) && !field.enum.includes(value)) return false;
  for (const titled of [field.oneOf, field.anyOf]) {
    if (Array.isArray(titled) && !titled.some((choice) => isJsonObject(choice) && choice.const === value)) return false;
  }
  return true;
}
