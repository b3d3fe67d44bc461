/**
 * WGSL of a kernel of the matrix tier's backward pass for adapters without subgroup matrices, for tests alone. A lane of 32 holds
 * eight numbers of a result; factors are read from memory when they are multiplied, those of a workgroup's rows from a
 * copy that is made when they are loaded. Everything else of the kernel runs as it is.
 */
export function inSoftware(code: string): string {
  if (!code.includes('chromium_experimental_subgroup_matrix')) return code;
  const rows = /let rowsAt = select\(0u, (\d+)u/.exec(code);
  if (!rows) throw new Error('inSoftware() knows only kernels of the backward pass');
  const words = 2 * Number(rows[1]);
  const load = String.raw`subgroupMatrixLoad<subgroup_matrix_(?:left|right)<f16, 16, 16>, (row|col)_major>\(&tileMemory, (.*), (\d+)u\);`;
  return code
    .replace(/enable f16;|enable chromium_experimental_subgroup_matrix;/g, '')
    .replace('diagnostic(off, chromium.subgroup_matrix_uniformity);', '')
    .replace(/ {2}@builtin\(subgroup_id\) subgroup: u32,\n/, '')
    .replaceAll('subgroup_matrix_result<f32, 16, 16>()', 'array<f32, 8>()')
    .replace(new RegExp(`let (a\\d+_\\d+) = ${load}`, 'g'), 'let $1 = vec4<u32>($3, $4u, 0u, 1u);')
    .replace(
      new RegExp(load, 'g'),
      (_, order: string, at: string, stride: string) =>
        `vec4<u32>(${at}, ${stride}u, ${Number(order === 'col')}u, 0u);`,
    )
    .replace(
      /(\w+) = subgroupMatrixMultiplyAccumulate\((\w+), (\w+), (\w+)\);/g,
      'multiplyInSoftware($2, $3, &$1, lane);',
    )
    .replace(
      /subgroupMatrixStore<row_major>\(&tileMemory, (.*), (\w+), (\d+)u\);/g,
      'storeInSoftware($1, $2, $3u, lane);',
    )
    .replace(
      '  let rowsAt =',
      `  for (var i = lane; i < ${words}u; i += THREADS) { rowsInSoftware[i] = tileMemory[i]; }
  workgroupBarrier();
  let rowsAt =`,
    )
    .replace('  let workgroup = ', '  let subgroup = lane / 32u;\n  let workgroup = ')
    .replace('@compute', `${helpers(words)}\n@compute`);
}

/** A factor: place and stride in 16-byte words, whether columns follow each other, whether it is of the workgroup's rows. */
const helpers = (words: number) => `
var<workgroup> rowsInSoftware: array<vec4<u32>, ${words}>;

fn factorInSoftware(factor: vec4<u32>, row: u32, column: u32) -> f32 {
  let byColumn = factor.z == 1u;
  let at = 8u * (factor.x + select(row, column, byColumn) * factor.y) + select(column, row, byColumn);
  var word: vec4<u32>;
  if (factor.w == 1u) { word = rowsInSoftware[at / 8u]; } else { word = tileMemory[at / 8u]; }
  return unpack2x16float(word[(at % 8u) / 2u])[at % 2u];
}

fn multiplyInSoftware(a: vec4<u32>, b: vec4<u32>, result: ptr<function, array<f32, 8>>, lane: u32) {
  for (var i = 0u; i < 8u; i++) {
    var sum = (*result)[i];
    for (var k = 0u; k < 16u; k++) {
      sum += factorInSoftware(a, lane % 32u / 2u, k) * factorInSoftware(b, k, lane % 2u * 8u + i);
    }
    (*result)[i] = sum;
  }
}

fn storeInSoftware(at: u32, result: array<f32, 8>, stride: u32, lane: u32) {
  let word = at + lane % 32u / 2u * stride + lane % 2u * 2u;
  tileMemory[word] = bitcast<vec4<u32>>(vec4<f32>(result[0], result[1], result[2], result[3]));
  tileMemory[word + 1u] = bitcast<vec4<u32>>(vec4<f32>(result[4], result[5], result[6], result[7]));
}
`;
