import { wgsl } from '../../wgsl/assemble.ts';
import type { ForwardOptions } from './forward-options.ts';
import type { MatrixShape } from './matrix-tile.ts';

/**
 * Values that are NaN or infinite, where some rows do not see them: 0 times them is NaN in a matrix product. Such halves are
 * multiplied as zeros; which channels of which keys they are is noted (`finite`), and rows that give such a key a weight note
 * the channels (`spoilRow`), which are then NaN (`spoiledNumbers`). Tiles that every row sees whole need none of this.
 */
export function spoiledStages({ valueDim }: ForwardOptions, shape: MatrixShape): string[] {
  if (shape.hiding === 'nothing')
    return ['fn spoiledNumbers(row: u32, d: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers; }'];
  const masks = Math.ceil(valueDim / 32);
  const { keyTile, lanesPerRow, weightStride, weightsOfLane } = shape;
  const keys = keyTile / lanesPerRow;
  return [
    wgsl`
fn finite(key: u32, d: u32, word: vec4<u32>, start: u32) -> vec4<u32> {
  let low = (word & vec4<u32>(0x7c00u)) == vec4<u32>(0x7c00u);
  let high = (word & vec4<u32>(0x7c000000u)) == vec4<u32>(0x7c000000u);
  if (!any(low) && !any(high)) { return word; }
  var bits = 0u;
  for (var i = 0u; i < 4u; i++) { bits |= (u32(low[i]) | (u32(high[i]) << 1u)) << (2u * i); }
  atomicOr(&spoiledKeys[key * ${masks}u + d / 4u], bits << (8u * (d % 4u)));
  atomicStore(&spoiled[0], start / KEY_TILE + 1u);
  return word & (select(vec4<u32>(0xffffu), vec4<u32>(), low) | select(vec4<u32>(0xffff0000u), vec4<u32>(), high));
}

fn spoilRow(start: u32, row: u32, part: u32) {
  if (atomicLoad(&spoiled[0]) != start / KEY_TILE + 1u) { return; }
  for (var i = 0u; i < ${keys}u; i++) {
    let word = tileMemory[WEIGHTS_AT + row * ${weightStride}u + part * ${weightsOfLane}u + i / 8u];
    if (((word[(i % 8u) / 2u] >> (16u * (i % 2u))) & 0xffffu) == 0u) { continue; }
    for (var m = 0u; m < ${masks}u; m++) {
      atomicOr(&spoiledRows[row * ${masks}u + m], atomicLoad(&spoiledKeys[(part * ${keys}u + i) * ${masks}u + m]));
    }
  }
}

fn clearSpoiled(lane: u32) {
  for (var i = lane; i < ${keyTile * masks}u; i += THREADS) { atomicStore(&spoiledKeys[i], 0u); }
}

fn spoiledNumbers(row: u32, d: u32, numbers: vec4<f32>) -> vec4<f32> {
  let bits = vec4<u32>(atomicLoad(&spoiledRows[row * ${masks}u + min(d / 8u, ${masks - 1}u)])) >> (vec4<u32>(4u * (d % 8u)) + vec4<u32>(0u, 1u, 2u, 3u));
  return bitcast<vec4<f32>>(select(bitcast<vec4<u32>>(numbers), vec4<u32>(NOT_A_NUMBER), (bits & vec4<u32>(1u)) == vec4<u32>(1u)));
}`,
  ];
}
