// Reads a zip archive by its central directory, as the programs that install bundles do, and checks every sum. Written without a look at our writer.

import { crc32, inflateRawSync } from 'node:zlib';

export function unzipped(archive: Buffer): Map<string, Buffer> {
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end === -1) throw new Error('not an archive');
  const files = new Map<string, Buffer>();
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    if (archive.toString('latin1', at, at + 4) !== 'PK\x01\x02') throw new Error('the directory is broken');
    const [nameLength, extra, comment] = [28, 30, 32].map((field) => archive.readUInt16LE(at + field)) as [
      number,
      number,
      number,
    ];
    const name = archive.toString('utf8', at + 46, at + 46 + nameLength);
    const local = archive.readUInt32LE(at + 42);
    if (archive.toString('latin1', local, local + 4) !== 'PK\x03\x04')
      throw new Error(`${name} is not where it should be`);
    const data = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    const content = inflateRawSync(archive.subarray(data, data + archive.readUInt32LE(at + 20)));
    if (crc32(content) !== archive.readUInt32LE(at + 16)) throw new Error(`the sum of ${name} is wrong`);
    if (content.length !== archive.readUInt32LE(at + 24)) throw new Error(`the length of ${name} is wrong`);
    if (name.startsWith('/') || name.split('/').includes('..')) throw new Error(`${name} leads out of the archive`);
    files.set(name, content);
    at += 46 + nameLength + extra + comment;
  }
  if (at !== end) throw new Error('the directory has another end');
  return files;
}
