// What an execution hands on at most, as it is written in configurations, tokens and entries. What it means is in control-plane/lineage/scope.ts.

/** Any of the grants suffices; without one, nothing is allowed. */
export type Scope = readonly Grant[];

export interface Grant {
  readonly server: string;
  /** Names of tools, other methods as `:resources/read`, or `*` for everything that the server has. */
  readonly actions: readonly string[];
  /** By JSON pointer: each value is a path under one of these. */
  readonly under?: Readonly<Record<string, readonly string[]>>;
  /** By JSON pointer: each value is one of these. */
  readonly in?: Readonly<Record<string, readonly string[]>>;
  /** By JSON pointer: each value is a number and not greater. */
  readonly max?: Readonly<Record<string, number>>;
}
