/** Small animated files for tests, made byte by byte: no library of the project writes them. */

const latin = (text: string) => Buffer.from(text, 'latin1');
const u16 = (n: number) => Buffer.from([n & 255, n >> 8]);
const u24 = (n: number) => Buffer.from([n & 255, (n >> 8) & 255, n >> 16]);
const u32 = (n: number) => Buffer.from([n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24]);

/** A GIF whose frame f has its columns below `(f + 1) / frames` of the width in one colour, the others in another. */
export function animatedGif(width: number, height: number, frames: number): Buffer {
  const palette = Buffer.from([230, 60, 30, 20, 40, 90, 255, 255, 255, 0, 0, 0]);
  const parts = [latin('GIF89a'), u16(width), u16(height), Buffer.from([0xf1, 0, 0]), palette];
  for (let frame = 0; frame < frames; frame++) {
    const edge = (width * (frame + 1)) / frames;
    const colours = Array.from({ length: width * height }, (_, pixel) => (pixel % width < edge ? 0 : 1));
    parts.push(
      Buffer.from([0x21, 0xf9, 4, 4, 10, 0, 0, 0]),
      Buffer.from([0x2c]),
      u16(0),
      u16(0),
      u16(width),
      u16(height),
      Buffer.from([0, 2]),
      ...chunked(lzwWithoutTable(colours)),
      Buffer.from([0]),
    );
  }
  return Buffer.concat([...parts, Buffer.from([0x3b])]);
}

/** Codes of three bits; a clear code after every pair keeps the table from growing. */
function lzwWithoutTable(colours: readonly number[]): Buffer<ArrayBuffer> {
  const [clear, end] = [4, 5];
  const codes: number[] = [];
  colours.forEach((colour, i) => {
    if (i % 2 === 0) codes.push(clear);
    codes.push(colour);
  });
  codes.push(end);
  const bytes = Buffer.alloc(Math.ceil((codes.length * 3) / 8));
  codes.forEach((code, i) => {
    for (let bit = 0; bit < 3; bit++)
      if (code & (1 << bit)) bytes[(i * 3 + bit) >> 3] |= 1 << ((i * 3 + bit) & 7);
  });
  return bytes;
}

function chunked(bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer>[] {
  const chunks: Buffer<ArrayBuffer>[] = [];
  for (let at = 0; at < bytes.length; at += 255) {
    const chunk = bytes.subarray(at, at + 255);
    chunks.push(Buffer.from([chunk.length]), chunk);
  }
  return chunks;
}

/** An animated WebP from still ones of one size, as a canvas writes them. */
export function animatedWebp(stills: readonly Buffer[], width: number, height: number): Buffer {
  const chunk = (name: string, data: Buffer) =>
    Buffer.concat([latin(name), u32(data.length), data, Buffer.alloc(data.length % 2)]);
  const body = Buffer.concat([
    latin('WEBP'),
    chunk('VP8X', Buffer.concat([Buffer.from([0x02, 0, 0, 0]), u24(width - 1), u24(height - 1)])),
    chunk('ANIM', Buffer.concat([u32(0xffffffff), u16(0)])),
    ...stills.map((still) =>
      chunk(
        'ANMF',
        Buffer.concat([
          u24(0),
          u24(0),
          u24(width - 1),
          u24(height - 1),
          u24(100),
          Buffer.from([0]),
          pictureChunk(still),
        ]),
      ),
    ),
  ]);
  return Buffer.concat([latin('RIFF'), u32(body.length), body]);
}

/** The VP8 or VP8L chunk of a still WebP. */
function pictureChunk(still: Buffer): Buffer {
  for (let at = 12; at < still.length; ) {
    const name = still.toString('latin1', at, at + 4);
    const end = at + 8 + still.readUInt32LE(at + 4);
    if (name === 'VP8 ' || name === 'VP8L') return still.subarray(at, end + (end % 2));
    at = end + (end % 2);
  }
  throw new Error('animatedWebp: a still has no picture in it');
}
