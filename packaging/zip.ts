// A zip archive of a folder: deflated, in a fixed order and with a fixed time, so that the same content gives the same bytes. Only what a bundle
// needs: no archive beyond 4 GB or 65535 files, no encryption, no links.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';

const FILES_MAX = 65_535;
/** 1980-01-01, the first day that the format knows. */
const DAY = 0x21;
const UTF8_NAMES = 0x0800;
const DEFLATED = 8;
const VERSION = 20;
const FROM_UNIX = 3 << 8;
const PLAIN_FILE = 0o100644 << 16;

/** All files below a folder for which `wanted` holds, by their paths in it. Throws when there are too many. */
export function zipOf(folder: string, wanted: (path: string) => boolean = () => true): Buffer {
  const names = filesBelow(folder).filter(wanted);
  if (names.length > FILES_MAX) throw new Error(`${names.length} files are too many for an archive of this kind`);
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const name of names) {
    const content = readFileSync(join(folder, name));
    const packed = deflateRawSync(content, { level: 9 });
    const path = Buffer.from(name, 'utf8');
    const common = commonHeader(content, packed, path);
    const local = Buffer.concat([words32(0x04034b50), common, path, packed]);
    directory.push(
      // The comment, the disk, and the attributes inside are empty.
      Buffer.concat([
        words32(0x02014b50),
        words16(FROM_UNIX | VERSION),
        common,
        words16(0, 0, 0),
        words32(PLAIN_FILE, at),
        path,
      ]),
    );
    parts.push(local);
    at += local.length;
  }
  const index = Buffer.concat(directory);
  const count = names.length;
  const end = Buffer.concat([words32(0x06054b50), words16(0, 0, count, count), words32(index.length, at), words16(0)]);
  return Buffer.concat([...parts, index, end]);
}

/** What both headers of a file say alike, up to the length of its extra field. */
function commonHeader(content: Buffer, packed: Buffer, path: Buffer): Buffer {
  return Buffer.concat([
    words16(VERSION, UTF8_NAMES, DEFLATED, 0, DAY),
    words32(crc32(content), packed.length, content.length),
    words16(path.length, 0),
  ]);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .sort();
}

function words16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16LE(value, index * 2);
  return bytes;
}

function words32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, index * 4);
  return bytes;
}
