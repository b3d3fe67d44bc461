/** WGSL of subgroup matrices, in the one form that the tier uses; they lie in the workgroup array `tileMemory`. */
export const left = 'subgroup_matrix_left<f16, 16, 16>';
export const right = 'subgroup_matrix_right<f16, 16, 16>';
export const result = 'subgroup_matrix_result<f32, 16, 16>';

/** Reads a fragment; `at` and `stride` in 16-byte words. */
export const load = (type: string, order: 'row_major' | 'col_major', at: string, stride: number) =>
  `subgroupMatrixLoad<${type}, ${order}>(&tileMemory, ${at}, ${stride}u)`;

export const store = (at: string, fragment: string, stride: number) =>
  `subgroupMatrixStore<row_major>(&tileMemory, ${at}, ${fragment}, ${stride}u);`;

export const multiplyAdd = (a: string, b: string, sum: string) =>
  `${sum} = subgroupMatrixMultiplyAccumulate(${a}, ${b}, ${sum});`;
