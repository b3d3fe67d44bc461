import { wgsl } from '../../wgsl/assemble.ts';
import type { TileShape } from './portable-tile.ts';
import { laneOfTile } from './rows.ts';
import { each } from './text.ts';

/** S = S + Q Kᵀ over one chunk of channels. */
export const scores = ({ rowsPerThread }: TileShape) => wgsl`
fn scores(lane: u32) {${laneOfTile}
  for (var d = 0u; d < CHUNK; d++) {
    let k0 = keyValues[keyLane * (CHUNK + 1u) + d];
    let k1 = keyValues[(keyLane + KEY_LANES) * (CHUNK + 1u) + d];
    let k2 = keyValues[(keyLane + 2u * KEY_LANES) * (CHUNK + 1u) + d];
    let k3 = keyValues[(keyLane + 3u * KEY_LANES) * (CHUNK + 1u) + d];
    let x = vec4<f32>(k0.x, k1.x, k2.x, k3.x);
    let y = vec4<f32>(k0.y, k1.y, k2.y, k3.y);
    let z = vec4<f32>(k0.z, k1.z, k2.z, k3.z);
    let w = vec4<f32>(k0.w, k1.w, k2.w, k3.w);
${each(
  rowsPerThread,
  (r) => `    let q${r} = queries[(rowLane + ${r}u * ROW_LANES) * (CHUNK + 1u) + d];
    s${r} += q${r}.x * x;
    s${r} += q${r}.y * y;
    s${r} += q${r}.z * z;
    s${r} += q${r}.w * w;`,
)}
  }
}`;

/** S = scale log₂e S, −1e30 where there is no key; the maxima of the thread's keys go to the row's other threads. */
export const finishPlain = ({ rowsPerThread }: TileShape) => wgsl`
fn finishScores(tile: Located, start: u32, half: u32, lane: u32) {${laneOfTile}
  let absent = vec4<bool>(
    keyTokens[half + keyLane] == ABSENT,
    keyTokens[half + keyLane + KEY_LANES] == ABSENT,
    keyTokens[half + keyLane + 2u * KEY_LANES] == ABSENT,
    keyTokens[half + keyLane + 3u * KEY_LANES] == ABSENT,
  );
${each(
  rowsPerThread,
  (r) => `  s${r} = select(s${r} * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent);
  tellMaximum(rowLane + ${r}u * ROW_LANES, keyLane, s${r});`,
)}
}`;

/**
 * The same with a mask or a changed score. The rows pass through the thread's own places in \`weights\`, so that the
 * expressions stand in the text four times, not once for each score of the thread.
 */
export const finishChanged = ({ rowsPerThread }: TileShape) => wgsl`
fn finishScores(tile: Located, start: u32, half: u32, lane: u32) {${laneOfTile}
${each(rowsPerThread, (r) => `  weights[(rowLane + ${r}u * ROW_LANES) * (KEY_LANES + 1u) + keyLane] = s${r};`)}
  for (var r = 0u; r < ROWS; r++) {
    let row = rowLane + r * ROW_LANES;
    let query = queryTokens[row];
    let querySlot = i32(tile.firstSlot - tile.block * shape.queryBlock + row);
    let s = weights[row * (KEY_LANES + 1u) + keyLane];
    var finished: vec4<f32>;
${each(
  4,
  (j) =>
    `    finished[${j}] = finishPair(tile, query, querySlot, keyTokens[half + keyLane + ${j}u * KEY_LANES], start + keyLane + ${j}u * KEY_LANES, s[${j}]);`,
)}
    weights[row * (KEY_LANES + 1u) + keyLane] = finished;
    tellMaximum(row, keyLane, finished);
  }
${each(rowsPerThread, (r) => `  s${r} = weights[(rowLane + ${r}u * ROW_LANES) * (KEY_LANES + 1u) + keyLane];`)}
}`;
