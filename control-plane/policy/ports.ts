// What the deciding functions need from outside: a rule engine and the file system's opinion about a path.

import type { JsonObject } from '../../domain/json.ts';
import type { EntityRef, PolicyJson } from './policy-json.ts';

/** A position in a rule's text: offsets in UTF-8 bytes. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface EngineProblem {
  readonly message: string;
  readonly help?: string;
  readonly span?: Span;
}

/** The language of rules, without any rule loaded. Calls may throw: then the engine is unusable and must be replaced. */
export interface PolicyLanguage {
  /** The syntax tree of exactly one rule; no templates. */
  parse(
    text: string,
  ): { readonly ok: true; readonly json: PolicyJson } | { readonly ok: false; readonly problem: EngineProblem };
  /** Strict validation of rules against a schema. Warnings count as problems. */
  validate(
    policies: ReadonlyMap<string, string>,
    schema: JsonObject,
  ): readonly (EngineProblem & { readonly id?: string })[];
  /** The text of a rule, laid out by the language itself. */
  text(policy: PolicyJson): string;
  /** Evaluates rules that are not part of a bundle; for explanations. */
  evaluateAlone(policies: ReadonlyMap<string, PolicyJson>, schema: JsonObject, question: EngineQuestion): EngineAnswer;
}

export interface EngineEntity {
  readonly uid: EntityRef;
  readonly parents: readonly EntityRef[];
}

export interface EngineQuestion {
  readonly principal: EntityRef;
  readonly action: EntityRef;
  readonly resource: EntityRef;
  readonly context: JsonObject;
  readonly entities: readonly EngineEntity[];
}

export type EngineAnswer =
  | {
      readonly ok: true;
      readonly allow: boolean;
      /** Ids of the deciding rules, sorted. */
      readonly reasons: readonly string[];
      readonly errors: readonly { readonly id: string; readonly message: string }[];
    }
  | { readonly ok: false; readonly message: string };

/** An engine with one bundle loaded. `evaluate` may throw: then the engine is unusable and must be replaced. */
export interface PolicyEngine {
  evaluate(question: EngineQuestion): EngineAnswer;
}

/** Where a path leads. Refuses whatever it cannot establish beyond doubt. */
export interface PathResolver {
  /**
   * The canonical form of an absolute path: `.` and `..` removed, links followed, the part that does not exist yet kept as it is.
   * Refuses dangling links, unreadable parents, and `..` behind a link.
   */
  real(path: string): { readonly ok: true; readonly path: string } | { readonly ok: false; readonly reason: string };
}
