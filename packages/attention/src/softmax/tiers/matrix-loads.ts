import { wgsl } from '../../wgsl/assemble.ts';
import { readOctet } from './access.ts';
import type { ForwardOptions } from './forward-options.ts';
import type { MatrixShape } from './matrix-tile.ts';
import { each } from './text.ts';

/** What a thread carries of one tile of keys or values: `count` words, `threads` apart. */
const carried = (shape: MatrixShape, name: 'key' | 'value') => {
  const words = 2 * (name === 'key' ? shape.headFragments : shape.valueFragments * shape.columns);
  const total = shape.keyTile * words;
  return {
    words,
    total,
    count: Math.ceil(total / shape.threads),
    stride: name === 'key' ? shape.keyStride : shape.valueStride,
    at: name === 'key' ? 0 : shape.valuesAt,
  };
};

/** Declares the words that a thread carries of a tile. */
export function declareWords(shape: MatrixShape, name: 'key' | 'value'): string {
  return each(carried(shape, name).count, (n) => `  var ${name}Words${n}: vec4<u32>;`);
}

/**
 * Reads the thread's words of the tile that starts at `start`, into registers, so that work goes on meanwhile.
 * @param at the first token of a tile whose keys are neighbours; else where the tile's tokens begin in `keyTokens`
 */
export function fetchWords(shape: MatrixShape, name: 'key' | 'value', start: string, at: string): string {
  const { words, total, count } = carried(shape, name);
  return each(count, (n) => {
    const i = `(lane + ${n * shape.threads}u)`;
    const row = `${i} / ${words}u`;
    const inside = `${total % shape.threads === 0 ? '' : `${i} < ${total}u && `}${start} + ${row} < count`;
    const target = `${name}Words${n}`;
    return `      ${target} = vec4<u32>();
      ${
        shape.contiguous
          ? `if (${inside}) { ${target} = ${name}Word(tile.keyRow + u32(${at} & TOKEN_BITS) + ${row}, ${i} % ${words}u); }`
          : `if (${inside}) {
        let token = keyTokens[${at} + ${row}];
        if (token >= 0) { ${target} = ${name}Word(tile.keyRow + u32(token & TOKEN_BITS), ${i} % ${words}u); }
      }`
      }`;
  });
}

/** Puts the words that fetchWords read into the tile's memory; `finite`: as spoiledStages wants values that some rows do not see. */
export function storeWords(shape: MatrixShape, name: 'key' | 'value', how?: 'finite'): string {
  const { words, stride, at, total, count } = carried(shape, name);
  return each(count, (n) => {
    const i = `(lane + ${n * shape.threads}u)`;
    const put = `tileMemory[${at}u + (${i} / ${words}u) * ${stride}u + ${i} % ${words}u] = ${
      how === 'finite'
        ? `finite(${i} / ${words}u, ${i} % ${words}u, ${name}Words${n}, start)`
        : `${name}Words${n}`
    };`;
    return total % shape.threads === 0 ? `      ${put}` : `      if (${i} < ${total}u) { ${put} }`;
  });
}

/** `fn <name>Word(row, d)`: halves 8d to 8d + 7 of a row, zeros beyond its end, up to `padded` words. */
export function readWord(name: string, rowLength: number, padded: number): string {
  const words = Math.ceil(rowLength / 8);
  return `${readOctet(name, rowLength)}

fn ${name}Word(row: u32, d: u32) -> vec4<u32> {
${padded === words ? `  return ${name}Octet(row, d);` : `  if (d < ${words}u) { return ${name}Octet(row, d); }\n  return vec4<u32>();`}
}`;
}

/** `stageQueries`, and the words of rows that it and the registers read. */
export function loadStages({ headDim, valueDim, queryOrder }: ForwardOptions, shape: MatrixShape): string[] {
  const words = 2 * shape.headFragments;
  const total = shape.queryTile * words;
  return [
    readWord('query', headDim, words),
    readWord('key', headDim, words),
    readWord('value', valueDim, 2 * shape.valueFragments * shape.columns),
    queryOrder
      ? 'fn queryToken(tile: Located, row: u32) -> i32 { return queryTokens[row]; }'
      : wgsl`
fn queryToken(tile: Located, row: u32) -> i32 {
  let slot = tile.firstSlot + row;
  return select(ABSENT, i32(slot), slot < tile.endSlot);
}`,
    wgsl`
fn stageQueries(tile: Located, lane: u32) {
  // a negative scale turns the queries' signs, so that the softmax may take the scale to be positive
  let signs = select(0u, 0x80008000u, shape.scale < 0.0);
  for (var n = 0u; n < ${Math.ceil(total / shape.threads)}u; n++) {
    let i = lane + n * THREADS;
    if (i < ${total}u) {
      let row = i / ${words}u;
      let token = queryToken(tile, row);
      var numbers = vec4<u32>();
      if (token >= 0) { numbers = queryWord(tile.queryRow + u32(token), i % ${words}u) ^ vec4<u32>(signs); }
      tileMemory[row * ${shape.keyStride}u + i % ${words}u] = numbers;
    }
  }
}`,
  ];
}
