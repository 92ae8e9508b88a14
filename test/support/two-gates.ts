// Two gates with installations of their own: other keys, other rules, other ledgers. Behind the first is an agent; the second has the tools that it calls.

import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { fixtureServer } from '../fixtures/servers/paths.ts';

import { type Installation, installation, type RunningCommand } from './cli.ts';
import { urlOf } from './counter-gate.ts';
import { entriesOf } from './evidence.ts';
import { type HttpReply, RawHttp } from './raw-mcp.ts';
import { ScriptedAgent } from './scripted-agent.ts';
import { TcpLine } from './tcp-line.ts';

const ISSUER = 'https://issuer.example';
const AUDIENCE = 'https://gates.example';

/** Whoever issues the tokens by which an agent with a key of its own is known, at every gate that trusts it. */
export interface Identity {
  readonly jwks: string;
  readonly proofKey: string;
  /** A client of this agent. */
  client(url: string): RawHttp;
}

export async function agentIdentity(sub: string): Promise<Identity> {
  const issuing = await generateKeyPair('Ed25519');
  const proving = await generateKeyPair('Ed25519');
  const jwk = await exportJWK(proving.publicKey);
  const proofKey = await calculateJwkThumbprint(jwk);
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(issuing.publicKey)), kid: 'k', alg: 'Ed25519' }] });
  const token = await new SignJWT({ cnf: { jkt: proofKey } })
    .setProtectedHeader({ alg: 'Ed25519', kid: 'k', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime('1h')
    .setJti('token')
    .sign(issuing.privateKey);
  const ath = createHash('sha256').update(token).digest('base64url');
  class ProvingHttp extends RawHttp {
    override async post(body: string | Uint8Array<ArrayBuffer>): Promise<HttpReply> {
      this.headers.authorization = `DPoP ${token}`;
      this.headers.dpop = await new SignJWT({ htm: 'POST', htu: this.url, jti: randomUUID(), ath })
        .setProtectedHeader({ alg: 'Ed25519', typ: 'dpop+jwt', jwk })
        .setIssuedAt()
        .sign(proving.privateKey);
      return super.post(body);
    }
  }
  return { jwks, proofKey, client: (url) => new ProvingHttp(url) };
}

export interface PeerOf {
  readonly issuer: string;
  readonly key: string;
}

/** What another gate has to write down of this installation. */
export async function asPeer(at: Installation): Promise<PeerOf> {
  const { stdout } = await at.run(['keys', '--json']);
  return (JSON.parse(stdout) as { peer: PeerOf }).peer;
}

const FIRST_RULES = `@id("plan") @reason("the planner may ask for work")
permit (principal == Portcullis::Agent::"planner", action, resource);
`;
const SECOND_RULES = `@id("work") @reason("the worker may count for a planner")
permit (principal == Portcullis::Agent::"worker", action in [Portcullis::Action::"counter/count", Portcullis::Action::"counter/sleep"], resource)
when { context.lineage.rootAgent == Portcullis::Agent::"planner" && context.lineage.depth == 1 };
`;

/** Both gates, and the agent between them. The first dials the second. What was stopped is called again here, as often as a test likes. */
export class TwoGates {
  readonly agent = new ScriptedAgent('legacy');
  readonly one = installation();
  readonly other = installation();
  readonly identity: Identity;
  first: RunningCommand | undefined;
  second: RunningCommand | undefined;
  /** Between the gates. */
  readonly line = new TcpLine();
  #host = '';

  private constructor(identity: Identity) {
    this.identity = identity;
  }

  static async open(): Promise<TwoGates> {
    return new TwoGates(await agentIdentity('worker'));
  }

  /** Starts both, and waits until they are in session. */
  async start(more: { readonly one?: object; readonly other?: object } = {}): Promise<void> {
    await this.startSecond(more.other);
    await this.startFirst(more.one);
  }

  async startSecond(more: object = {}): Promise<void> {
    const { other, identity } = this;
    this.#host ||= `127.0.0.1:${await this.line.listen()}`;
    other.configure(
      {
        agents: { worker: { root: false, auth: { jwt: { sub: 'worker', proofKey: identity.proofKey } } } },
        identity: { jwt: [this.#issuer(other)] },
        servers: {
          counter: {
            stdio: { command: process.execPath, args: [fixtureServer('counter.mjs'), other.path('heard.jsonl')] },
            retryAfterUnknown: 'allow',
          },
        },
        peers: { first: await asPeer(this.one) },
        listen: { hosts: [this.#host] },
        ...more,
      },
      SECOND_RULES,
    );
    this.second = other.start(['serve', '--name', 'second', '--http', '127.0.0.1:0']);
    await this.second.says('open: 1 server(s)');
    this.line.to = Number(new URL(await urlOf(this.second)).port);
  }

  async startFirst(more: object = {}): Promise<void> {
    const { one, identity } = this;
    one.configure(
      {
        agents: {
          planner: { auth: 'local' },
          worker: { root: false, auth: { jwt: { sub: 'worker', proofKey: identity.proofKey } }, peers: ['second'] },
        },
        identity: { jwt: [this.#issuer(one)] },
        servers: {
          work: { ...(await this.agent.listen()), agent: 'worker', retryAfterUnknown: 'allow' },
        },
        peers: { second: { ...(await asPeer(this.other)), url: `ws://${this.#host}/peer` } },
        ...more,
      },
      FIRST_RULES,
    );
    this.first = one.start(['serve', '--name', 'first', '--stdio']);
    await this.first.says('open: 1 server(s)');
    await this.first.says('peer second: in session');
    await this.running('second').says('peer first: in session');
  }

  running(which: 'first' | 'second'): RunningCommand {
    const running = which === 'first' ? this.first : this.second;
    if (running === undefined) throw new Error(`the ${which} gate was not started`);
    return running;
  }

  /** The agent's own connection to the second gate. */
  async atSecond(): Promise<RawHttp> {
    const client = this.identity.client(await urlOf(this.running('second')));
    await client.initialize();
    return client;
  }

  entriesOf(which: 'first' | 'second') {
    return entriesOf(which === 'first' ? this.one.ledger('first') : this.other.ledger('second'));
  }

  async close(): Promise<void> {
    await this.first?.stop();
    await this.second?.stop();
    await this.agent.close();
    await this.line.close();
  }

  #issuer(at: Installation): object {
    at.write('home/jwks.json', this.identity.jwks);
    return { issuer: ISSUER, audience: AUDIENCE, jwks: 'jwks.json', algorithms: ['Ed25519'], dpop: 'required' };
  }
}
