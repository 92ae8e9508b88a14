// The other gates of the manifest, wired: their keys, the connections to those that we dial, and the door for those that dial us.

import { Verifier } from '../adapters/crypto/node-crypto.ts';
import type { PeerFront } from '../adapters/downstream/ws/ws-front.ts';
import { CLOCKS_APART_MS_MAX } from '../control-plane/lineage/feed.ts';
import type { PeerLiveness } from '../control-plane/lineage/ports.ts';
import type { TokenReader } from '../control-plane/lineage/token.ts';
import type { Manifest, ManifestPeer } from '../control-plane/policy/manifest.ts';
import { decodeBase64url } from '../domain/base64url.ts';
import { visibleText } from '../domain/visible-text.ts';
import type { Elsewhere } from '../proxy/call-tree.ts';
import type { TrustedPeer } from '../proxy/peer-session.ts';
import { Peers, type PeersPorts } from '../proxy/peers.ts';
import { EXIT } from './exit-codes.ts';
import { CommandError } from './output.ts';

export interface GatePeers {
  readonly liveness: PeerLiveness;
  /** Undefined where there are no peers: nothing is asked of them then. */
  readonly elsewhere: Elsewhere | undefined;
  readonly verify: TokenReader['verify'];
  readonly clockDriftMs: TokenReader['clockDriftMs'];
  /** For those that dial us; undefined where none does. */
  readonly front: PeerFront | undefined;
  /** Dials. Nothing is said to anybody before. */
  start(): void;
  close(): void;
}

const NO_PEERS: GatePeers = {
  liveness: { state: () => 'unknown' },
  elsewhere: undefined,
  verify: () => undefined,
  clockDriftMs: () => 0,
  front: undefined,
  start: () => {},
  close: () => {},
};

/** Rejects with a CommandError for a peer that cannot be one. What speaks with peers is loaded only where there are any: it takes a while. */
export async function openPeers(
  manifest: Pick<Manifest, 'peers'> | undefined,
  ports: Omit<PeersPorts, 'trusted'>,
): Promise<GatePeers> {
  const entries = Object.entries(manifest?.peers ?? {});
  if (entries.length === 0) return NO_PEERS;
  const { WsDialler } = await import('../adapters/peers/ws-dialler.ts');
  const { WsPeerFront } = await import('../adapters/peers/ws-peer-front.ts');
  const trusted = entries.map(([name, peer]) => trustedPeer(name, peer, ports.issuer));
  const peers = new Peers({ ...ports, trusted });
  const isDialled = trusted.some(({ dialled }) => !dialled);
  const front = isDialled ? new WsPeerFront((channel) => peers.connect(channel)) : undefined;
  const diallers: { close(): void }[] = [];
  return {
    liveness: peers,
    elsewhere: peers,
    verify: (issuer, ...signed) => peers.verify(issuer, ...signed),
    // Within what the feed allows; whether the execution still runs, and for how long, the feed says too.
    clockDriftMs: (issuer) => (issuer === ports.issuer ? 0 : CLOCKS_APART_MS_MAX),
    front,
    start: () => {
      for (const [name, { url, issuer }] of entries) {
        if (url === undefined) continue;
        const onFailed = (reason: string) => ports.note(`peer ${name}: cannot be reached: ${visibleText(reason)}`);
        diallers.push(new WsDialler({ url, connect: (channel) => peers.connect(channel, issuer), onFailed }));
      }
    },
    close: () => {
      for (const dialler of diallers) dialler.close();
      peers.close();
      front?.close();
    },
  };
}

function trustedPeer(name: string, { issuer, key, url }: ManifestPeer, self: string): TrustedPeer {
  const wrong = (why: string) =>
    new CommandError(`the peer "${name}" cannot be trusted: ${why}`, EXIT.usage, [
      'run "portcullis keys" there: it prints what is to be written down here',
    ]);
  if (issuer === self) throw wrong('its issuer is this gate itself');
  const verifier = new Verifier();
  const bytes = decodeBase64url(key);
  if (bytes === undefined || verifier.register(bytes) === undefined) throw wrong('its key is not a usable Ed25519 key');
  return { name, issuer, verify: verifier.verify, dialled: url !== undefined };
}

/** The issuers of these peers. */
export function issuersOf({ peers = {} }: Pick<Manifest, 'peers'>, names: readonly string[]): readonly string[] {
  return names.flatMap((name) => (Object.hasOwn(peers, name) ? (peers[name]?.issuer ?? []) : []));
}
