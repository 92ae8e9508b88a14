// What the runner has to know of a client: where it is to be had, how it is told of a server in the way of its own users, and how it is started with a
// prompt and with a model on this machine.

import type { NpmPackage } from './installed.ts';

/** The folders of a user who has nothing but this client. */
export interface UserFolders {
  readonly home: string;
  /** Where the client is started. */
  readonly project: string;
}

/** The server that the client's user has configured. */
export interface ConfiguredServer {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** A server elsewhere, and what it wants to be told. */
export interface RemoteServer {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ClientFile {
  readonly file: string;
  readonly text: string;
}

export interface Session extends UserFolders {
  readonly prompt: string;
  /** The address of the model. */
  readonly model: string;
  /** The client is to give a call up after so long, where it can be told so. */
  readonly callMs?: number;
}

export interface RealClient {
  /** As in the known clients. */
  readonly id: string;
  readonly package: NpmPackage;
  readonly bin: string;
  /** The file with the server in it, written as people write: comments where the format has them, and a layout that no program would make. */
  configuration(at: UserFolders, server: ConfiguredServer): ClientFile;
  /** The same for a server elsewhere, called `distant`, in the user's file, and one in a file of the project, which others get too. */
  elsewhere?(
    at: UserFolders,
    remote: RemoteServer,
    server: ConfiguredServer,
  ): { readonly user: ClientFile; readonly project: ClientFile };
  /** What its user runs once, so that it knows of the model. */
  login?(model: string): readonly string[];
  /** Where it is to look for its own files; we must find them there too. */
  folders?(at: UserFolders): Readonly<Record<string, string>>;
  session(session: Session): { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> };
  /** It can be told how long a call may take; otherwise it is interrupted as by a user. */
  readonly timesOut: boolean;
}
