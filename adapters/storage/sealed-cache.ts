// What can be found out again, kept so that it need not be: a file under a keyed code. One that is not ours, or not what we wrote, is as good as none, and
// one that cannot be written costs time and nothing else. What must not be lost is a state document.

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Json } from '../../domain/json.ts';

const BYTES_MAX = 8 * 1024 * 1024;

export class SealedCache {
  readonly #file: string | undefined;
  readonly #mac: (bytes: Uint8Array) => Uint8Array;

  /** Without a file nothing is kept. */
  constructor(file: string | undefined, mac: (bytes: Uint8Array) => Uint8Array) {
    this.#file = file;
    this.#mac = mac;
  }

  read(): unknown {
    if (this.#file === undefined) return undefined;
    try {
      const text = readFileSync(this.#file, 'utf8');
      const end = text.indexOf('\n');
      const [mac, body] = [Buffer.from(text.slice(0, end), 'base64url'), text.slice(end + 1)];
      const expected = this.#mac(Buffer.from(body));
      if (text.length > BYTES_MAX || mac.length !== expected.length || !timingSafeEqual(mac, expected))
        return undefined;
      return JSON.parse(body);
    } catch {
      return undefined;
    }
  }

  write(body: Json): void {
    if (this.#file === undefined) return;
    try {
      const text = canonicalJson(body);
      const mac = Buffer.from(this.#mac(Buffer.from(text))).toString('base64url');
      const fresh = `${this.#file}.${randomBytes(6).toString('hex')}`;
      writeFileSync(fresh, `${mac}\n${text}`, { mode: 0o600, flag: 'wx' });
      renameSync(fresh, this.#file);
    } catch {
      // A full disk costs the next start some time, and nothing else.
    }
  }
}
