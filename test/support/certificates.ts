// Self-signed certificates, made when they are needed: no key is kept anywhere, and no other program is asked for.

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  readonly publicKey: KeyObject;
}

export interface CertificateOptions {
  readonly name?: string;
  /** A further host that it is for. */
  readonly host?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** The keys of an earlier one, which is so renewed. */
  readonly keys?: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
}

const YEAR_MS = 365 * 24 * 3_600_000;
const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));

export function newKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** For `localhost` and 127.0.0.1, valid for a year where nothing else is said. */
export function selfSigned(options: CertificateOptions = {}): Certificate {
  const { name = 'test', host, notBefore = new Date(Date.now() - 60_000), keys = newKeys() } = options;
  const { notAfter = new Date(notBefore.getTime() + YEAR_MS) } = options;
  const { publicKey, privateKey } = keys;
  const commonName = sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(name)))));
  const hosts = ['localhost', ...(host === undefined ? [] : [host])].map((dns) => tlv(0x82, Buffer.from(dns)));
  const names = sequence(...hosts, tlv(0x87, Buffer.from([127, 0, 0, 1])));
  const extensions = sequence(sequence(oid('551d11'), tlv(0x04, names)));
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    commonName,
    sequence(time(notBefore), time(notAfter)),
    commonName,
    publicKey.export({ format: 'der', type: 'spki' }),
    tlv(0xa3, extensions),
  );
  const signature = tlv(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, privateKey)]));
  const der = sequence(body, ECDSA_WITH_SHA256, signature).toString('base64');
  const cert = `-----BEGIN CERTIFICATE-----\n${der.replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`;
  return { cert, key: String(privateKey.export({ format: 'pem', type: 'pkcs8' })), publicKey };
}

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'));
}

function time(at: Date): Buffer {
  return tlv(0x18, Buffer.from(`${at.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`));
}
