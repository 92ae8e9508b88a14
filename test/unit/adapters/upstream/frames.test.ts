// WebSocket frames on their way to the library: nothing is changed but for messages that are too large, however the bytes were cut.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { TooLarge } from '../../../../adapters/upstream/ports.ts';
import { Frames } from '../../../../adapters/upstream/ws/frames.ts';

const BOUND = 100_000;

function frame(first: number, payload: string, claimed = payload.length): Buffer {
  const bytes = Buffer.from(payload);
  if (claimed < 126) return Buffer.concat([Buffer.from([first, claimed]), bytes]);
  const long = claimed > 0xffff;
  const length = Buffer.alloc(long ? 8 : 2);
  if (long) length.writeBigUInt64BE(BigInt(claimed));
  else length.writeUInt16BE(claimed);
  return Buffer.concat([Buffer.from([first, long ? 127 : 126]), length, bytes]);
}

function watch(bytes: Buffer, size: number, knows: (what: TooLarge) => boolean = () => false) {
  const passed: Buffer[] = [];
  const seen: TooLarge[] = [];
  let endless = 0;
  const frames = new Frames(
    {
      messageBytesMax: () => BOUND,
      onTooLarge: (what) => {
        seen.push(what);
        return knows(what);
      },
      onPassed: (part) => passed.push(Buffer.from(part)),
      onEndless: () => endless++,
    },
    10 * BOUND,
  );
  for (let at = 0; at < bytes.length; at += size) frames.push(bytes.subarray(at, at + size));
  return { passed: Buffer.concat(passed), seen, frames, endless };
}

const large = `{"id":1,${'x'.repeat(BOUND)}"end":2}`;
const edges = { head: large.slice(0, 256), tail: large.slice(-256) };

for (const size of [1, 3, 1000, 10_000_000]) {
  it(`takes a message in one frame out whole, in chunks of ${size} bytes`, () => {
    const before = frame(0x81, 'before');
    const after = frame(0x81, 'after');
    const { passed, seen, frames } = watch(Buffer.concat([before, frame(0x81, large), after]), size);
    expect(passed).toEqual(Buffer.concat([before, after]));
    expect(seen).toEqual([{ head: edges.head }, edges]);
    expect([frames.isCut(), frames.isCut()]).toEqual([false, false]);
  });

  it(`ends a message early whose later frames are too much, in chunks of ${size} bytes`, () => {
    const before = frame(0x81, 'before');
    const begun = frame(0x01, large.slice(0, 70_000));
    const ping = frame(0x89, 'ping');
    const rest = [frame(0x00, large.slice(70_000, -5)), ping, frame(0x80, large.slice(-5))];
    const after = frame(0x81, 'after');
    const { passed, seen, frames } = watch(Buffer.concat([before, begun, ...rest, after]), size);
    expect(passed).toEqual(Buffer.concat([before, begun, ping, Buffer.from([0x80, 0]), after]));
    expect(seen).toEqual([{ head: edges.head }, edges]);
    expect([frames.isCut(), frames.isCut(), frames.isCut()]).toEqual([false, true, false]);
  });
}

it('passes a message of just the bound, and takes out one with a byte more', () => {
  const fits = frame(0x81, 'x'.repeat(BOUND));
  expect(watch(fits, 1000).passed).toEqual(fits);
  expect(watch(frame(0x81, 'x'.repeat(BOUND + 1)), 1000).passed).toHaveLength(0);
});

it('asks once where the head was enough', () => {
  expect(watch(frame(0x81, large), 1000, () => true).seen).toEqual([{ head: edges.head }]);
});

it('does not wait for the end of a frame that claims more than is ever read', () => {
  const claims = Buffer.concat([frame(0x81, 'x'.repeat(11 * BOUND), 2 ** 50)]);
  const { passed, endless } = watch(claims, 50_000);
  expect(passed).toHaveLength(0);
  expect(endless).toBeGreaterThan(0);
});

it('passes whatever is small byte for byte, well formed or not, however it was cut', () => {
  const well = fc
    .tuple(fc.constantFrom(0x81, 0x01, 0x00, 0x80, 0x82, 0x89, 0x8a, 0x83, 0xc1), fc.string({ maxLength: 300 }))
    .map(([first, text]) => frame(first, text, Buffer.byteLength(text)));
  fc.assert(
    fc.property(
      fc.array(well),
      fc.uint8Array({ maxLength: 12 }),
      fc.integer({ min: 1, max: 50 }),
      (frames, end, size) => {
        const bytes = Buffer.concat([...frames, end]);
        const { passed, seen } = watch(bytes, size);
        // A header that is not whole waits, and a random one may claim much.
        expect(seen).toEqual([]);
        expect(passed).toEqual(bytes.subarray(0, passed.length));
        expect(bytes.length - passed.length).toBeLessThan(14);
      },
    ),
  );
});
