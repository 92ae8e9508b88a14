// What we say to a remote server to be let in, known here so that it goes nowhere else: a message of the server that repeats it is not taken, and
// in our own sentences it is left out. Only its characters are looked for, as they are or escaped: a server that wants to give it away in
// another form can.

/** Shorter values of headers are no secrets that anybody could find by looking: a word like `true` is in many results. */
const HEADER_CHARACTERS_MIN = 16;
const CREDENTIAL_CHARACTERS_MIN = 8;
/** Tokens are exchanged; a call that began with an old one may still be answered. */
const TOKENS_KEPT = 8;

/** Visible ASCII that was escaped by its number. */
const NUMBERED = '\\u00';
const BACKSLASH = 0x5c;
const LETTER_U = 0x75;

export class OwnSecrets {
  readonly #fixed = new Set<string>();
  readonly #tokens = new Set<string>();

  /** What goes with every request, by the name of its header. */
  keepHeader(name: string, value: string): void {
    const isCredential = name.toLowerCase() === 'authorization';
    const secret = isCredential ? withoutScheme(value) : value;
    if (secret.length >= (isCredential ? CREDENTIAL_CHARACTERS_MIN : HEADER_CHARACTERS_MIN)) this.#fixed.add(secret);
  }

  /** What went with a request for its token: the header, and its proof. */
  keepToken(header: string | undefined, proof: string | undefined): void {
    if (header !== undefined) this.#keep(withoutScheme(header));
    // All proofs of one key begin alike: with the key.
    if (proof !== undefined) this.#keep(proof.slice(0, proof.indexOf('.')));
  }

  /** Whether a message repeats one of them. */
  isIn(message: Uint8Array): boolean {
    if (this.#fixed.size + this.#tokens.size === 0) return false;
    const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
    if (this.#some((secret) => isWrittenIn(bytes, secret))) return true;
    // Line breaks and quotation marks are escaped in most messages; numbers are seldom, and then all of it is read.
    if (!bytes.includes(NUMBERED)) return false;
    const text = unescaped(bytes);
    return this.#some((secret) => text.includes(secret, 0, 'latin1'));
  }

  /** A sentence of ours that may quote a server. */
  leftOut(sentence: string): string {
    let text = sentence;
    for (const secret of [...this.#fixed, ...this.#tokens]) text = text.replaceAll(secret, '[our credential]');
    return text;
  }

  #keep(token: string): void {
    if (token.length < CREDENTIAL_CHARACTERS_MIN || this.#tokens.has(token)) return;
    this.#tokens.add(token);
    const [oldest] = this.#tokens;
    if (this.#tokens.size > TOKENS_KEPT && oldest !== undefined) this.#tokens.delete(oldest);
  }

  #some(holds: (secret: string) => boolean): boolean {
    for (const secret of this.#fixed) if (holds(secret)) return true;
    for (const token of this.#tokens) if (holds(token)) return true;
    return false;
  }
}

function withoutScheme(header: string): string {
  return header.slice(header.lastIndexOf(' ') + 1);
}

/** As it is, and as those write it in JSON who escape what has to be escaped, or slashes too. */
function isWrittenIn(bytes: Buffer, secret: string): boolean {
  if (bytes.includes(secret, 0, 'latin1')) return true;
  if (!/["\\/]/.test(secret)) return false;
  const written = JSON.stringify(secret).slice(1, -1);
  return bytes.includes(written, 0, 'latin1') || bytes.includes(written.replaceAll('/', '\\/'), 0, 'latin1');
}

/** RFC 8259 section 7, as far as one byte goes. In one pass: a server may write nothing else, and a lot of it. */
function unescaped(json: Uint8Array): Buffer {
  const text = Buffer.allocUnsafe(json.length);
  let length = 0;
  for (let at = 0; at < json.length; at++) {
    let byte = json[at] ?? 0;
    if (byte === BACKSLASH) {
      byte = json[++at] ?? 0;
      if (byte === LETTER_U) {
        byte = (hexadecimal(json[at + 3]) << 4) | hexadecimal(json[at + 4]);
        at += 4;
      }
    }
    text[length++] = byte;
  }
  return text.subarray(0, length);
}

function hexadecimal(digit = 0): number {
  return digit <= 0x39 ? digit & 0x0f : (digit & 0x0f) + 9;
}
