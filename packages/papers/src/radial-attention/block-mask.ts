/** Geometry of the block mask. */
export interface BlockMaskOptions {
  frames: number;
  perFrame: number;
  blockSize: number;
  decay: number;
  sink: boolean;
  /** Tokens after the video, seen by and seeing everything. */
  textTokens?: number;
}

export interface BlockMask {
  /** Blocks a side: ⌈tokens / blockSize⌉. */
  side: number;
  /** [side * side], row-major: 1 where a block of queries sees a block of keys. */
  kept: Uint8Array;
  keptBlocks: number;
  /** Share of the blocks that are not kept. */
  sparsity: number;
  /** Diagonal blocks that the rule would have deleted and that are kept all the same. */
  forcedDiagonals: number;
}

/** Share of rows that makes a column count, and share of such columns that keeps a block. */
const COLUMN_DENSITY = 1 / 3;
const BLOCK_DENSITY = 0.6;

const bitLength = (x: number) => (x === 0 ? 0 : 32 - Math.clz32(x));

/** Equations (5) to (7): how far apart positions may be at a distance in frames; −1 where the frame is left out. */
export function bandWidth(
  distance: number,
  { perFrame, blockSize, decay }: Pick<BlockMaskOptions, 'perFrame' | 'blockSize' | 'decay'>,
): number {
  const reference = 2 ** (bitLength(perFrame) - bitLength(distance));
  const kept = reference >= blockSize || distance % Math.trunc(blockSize / reference) === 0;
  if (!kept) return -1;
  return distance <= 1 ? perFrame : Math.max(blockSize, decay * reference);
}

/**
 * The block mask of the authors' program: (8) to (10). A canvas depends on the band's width and two remainders only,
 * so that few are drawn: with aligned frames one a width. Columns are counted as overlaps of intervals.
 * The cache lives and dies with the call: another geometry can never meet it.
 */
export function blockMask(options: BlockMaskOptions): BlockMask {
  const { frames, perFrame, blockSize, sink, textTokens = 0 } = options;
  const video = frames * perFrame;
  const side = Math.ceil((video + textTokens) / blockSize);
  const whole = Math.floor(video / blockSize);
  const kept = new Uint8Array(side * side);
  const canvases = new Map<string, readonly number[]>();
  for (let i = 0; i < frames; i++) {
    for (let j = 0; j < frames; j++) {
      const width = sink && j === 0 ? perFrame : bandWidth(Math.abs(i - j), options);
      if (width < 0) continue;
      const rowShift = (i * perFrame) % blockSize;
      const columnShift = (j * perFrame) % blockSize;
      const name = `${width} ${rowShift} ${columnShift}`;
      let canvas = canvases.get(name);
      if (!canvas) {
        canvas = drawCanvas({ perFrame, blockSize, width, rowShift, columnShift });
        canvases.set(name, canvas);
      }
      const firstRow = Math.floor((i * perFrame) / blockSize);
      const firstColumn = Math.floor((j * perFrame) / blockSize);
      for (let entry = 0; entry < canvas.length; entry += 2) {
        const row = firstRow + canvas[entry];
        const column = firstColumn + canvas[entry + 1];
        if (row < whole && column < whole) kept[row * side + column] = 1;
      }
    }
  }
  let forcedDiagonals = 0;
  for (let row = 0; row < side; row++) {
    if (row >= whole) kept.fill(1, row * side, (row + 1) * side);
    else kept.fill(1, row * side + whole, (row + 1) * side);
    if (!kept[row * side + row]) {
      kept[row * side + row] = 1;
      forcedDiagonals++;
    }
  }
  let keptBlocks = 0;
  for (const one of kept) keptBlocks += one;
  return { side, kept, keptBlocks, sparsity: 1 - keptBlocks / Math.max(kept.length, 1), forcedDiagonals };
}

/** Kept blocks of one pair of frames, as (row, column), (row, column), … on a canvas of whole blocks. */
function drawCanvas(spec: {
  perFrame: number;
  blockSize: number;
  width: number;
  rowShift: number;
  columnShift: number;
}): readonly number[] {
  const { perFrame, blockSize, width, rowShift, columnShift } = spec;
  const side = Math.ceil(perFrame / blockSize);
  const some = new Int32Array(side * side);
  const many = new Int32Array(side * side);
  for (let column = 0; column < side * blockSize; column++) {
    const position = column - columnShift;
    if (position < 0 || position >= perFrame) continue;
    // rows of the canvas that this column allows: [from, to]
    const from = Math.max(0, Math.ceil(position - width)) + rowShift;
    const to = Math.min(perFrame - 1, Math.floor(position + width)) + rowShift;
    const lastBlock = Math.min(Math.floor(to / blockSize), side - 1);
    for (let block = Math.floor(from / blockSize); block <= lastBlock; block++) {
      const rows = Math.min(to, (block + 1) * blockSize - 1) - Math.max(from, block * blockSize) + 1;
      const entry = block * side + Math.floor(column / blockSize);
      some[entry]++;
      if (rows / blockSize > COLUMN_DENSITY) many[entry]++;
    }
  }
  const blocks: number[] = [];
  for (let entry = 0; entry < side * side; entry++) {
    if (many[entry] / (some[entry] + 1e-9) > BLOCK_DENSITY)
      blocks.push(Math.floor(entry / side), entry % side);
  }
  return blocks;
}
