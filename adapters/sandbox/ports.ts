// What the way out of a sandbox asks of others: somebody who records, somebody who resolves names, and whether the server may go out at all.

/** What is known of a connection before it is made. */
export interface EgressOpening {
  /** Of this connection, in all that is recorded of it. */
  readonly connection: string;
  readonly host: string;
  readonly port: number;
  /** The very address that is connected to. */
  readonly address: string;
  readonly way: 'connect' | 'http';
}

export type EgressEnd = 'ended' | 'unreachable' | 'lost' | 'idle' | 'too_long' | 'too_large' | 'stopped';

export interface EgressClosing {
  readonly connection: string;
  readonly end: EgressEnd;
  /** Bytes of the server, and bytes for it. */
  readonly sent: number;
  readonly received: number;
  readonly ms: number;
}

export type EgressRefusalReason =
  | 'malformed'
  | 'method'
  | 'not_allowed'
  | 'unresolved'
  | 'private_address'
  | 'set_aside'
  | 'too_many';

export interface EgressRefusal {
  readonly reason: EgressRefusalReason;
  /** As asked for, cut; null where many refusals are told together or nothing could be read. */
  readonly host: string | null;
  readonly port: number | null;
  /** So many, since the last one that was told. */
  readonly count: number;
}

/** Where each resolves, what was told is durable; where one rejects, nothing goes out any more. */
export interface EgressRecorder {
  opened(opening: EgressOpening): Promise<void>;
  closed(closing: EgressClosing): Promise<void>;
  refused(refusal: EgressRefusal): Promise<void>;
}

/** The addresses of a name. Rejects or is empty where there are none. */
export type ResolveName = (name: string) => Promise<readonly string[]>;
