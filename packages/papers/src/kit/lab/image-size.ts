/** What the first bytes of a file say it is, read without decoding it. */
export interface ImageHeader {
  format: 'png' | 'jpeg' | 'gif' | 'webp' | 'bmp';
  width: number;
  height: number;
}

/** Reads the size of a PNG, JPEG, GIF, WebP or BMP from its header; undefined if it is none of these or cut off. */
export function readImageSize(bytes: Uint8Array): ImageHeader | undefined {
  if (bytes.length < 16) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ascii = (at: number, length: number) => String.fromCharCode(...bytes.subarray(at, at + length));
  try {
    if (view.getUint32(0) === 0x89504e47)
      return { format: 'png', width: view.getUint32(16), height: view.getUint32(20) };
    if (ascii(0, 4) === 'GIF8')
      return { format: 'gif', width: view.getUint16(6, true), height: view.getUint16(8, true) };
    if (ascii(0, 2) === 'BM')
      return { format: 'bmp', width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)) };
    if (ascii(0, 4) === 'RIFF' && ascii(8, 4) === 'WEBP') return webp(view, ascii(12, 4));
    if (view.getUint16(0) === 0xffd8) return jpeg(view);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // a read past the end: the header is cut off
  }
  return undefined;
}

function webp(view: DataView, chunk: string): ImageHeader | undefined {
  if (chunk === 'VP8X') {
    const three = (at: number) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    return { format: 'webp', width: three(24) + 1, height: three(27) + 1 };
  }
  if (chunk === 'VP8L') {
    const bits = view.getUint32(21, true);
    return { format: 'webp', width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
  }
  if (chunk === 'VP8 ')
    return {
      format: 'webp',
      width: view.getUint16(26, true) & 0x3fff,
      height: view.getUint16(28, true) & 0x3fff,
    };
  return undefined;
}

/** Walks the segments to the frame header (SOF0 to SOF15 without DHT, JPG and DAC). */
function jpeg(view: DataView): ImageHeader | undefined {
  let at = 2;
  while (at + 9 < view.byteLength) {
    if (view.getUint8(at) !== 0xff) return undefined;
    const marker = view.getUint8(at + 1);
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc)
      return { format: 'jpeg', width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    at += 2 + view.getUint16(at + 2);
  }
  return undefined;
}
