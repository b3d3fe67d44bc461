import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { sizeOf } from '../tensor.ts';
import { assemble, wgsl } from '../wgsl/assemble.ts';
import { uniform, write } from '../wgsl/bindings.ts';
import { kept } from '../wgsl/kept.ts';
import type { AttendRequest } from './request.ts';
import { elementOf, readVector, rowBinding, type Storage, storeVector } from './tiers/access.ts';

/** Every row as one that sees nothing: zeros, or what the epilogue adds, and -Infinity. */
const unqueried = kept((valueDim: number, storage: Storage, add: Storage | undefined) =>
  assemble({
    name: 'unqueried-rows',
    bindings: {
      output: write(elementOf(storage, valueDim)),
      logSumExp: write('u32'),
      shape: uniform({ rows: 'u32' }),
      ...(add && { addend: rowBinding(add, valueDim) }),
    },
    constants: { VECTORS: Math.ceil(valueDim / 4), MINUS_INFINITY: 0xff800000 },
    stages: [storeVector('output', storage, valueDim), ...(add ? [readVector('addend', add, valueDim)] : [])],
    threads: 64,
    memoryLimit: 0,
    main: wgsl`
  let row = (workgroup * 64u + lane) / VECTORS;
  let d = (workgroup * 64u + lane) % VECTORS;
  if (row >= shape.rows) { return; }
  outputStore(row, d, ${add ? 'addendVector(row, d)' : 'vec4<f32>()'});
  if (d == 0u) { logSumExp[row] = MINUS_INFINITY; }`,
  }),
);

/** Queries in no slot of the plan: no tile has them, and the memory may hold the numbers of an earlier call. */
export async function fillUnqueried(
  gpu: Gpu,
  request: AttendRequest,
  output: GpuTensor,
  logSumExp: GpuTensor,
): Promise<void> {
  const { valueDim, epilogue } = request;
  const rows = sizeOf(logSumExp.shape);
  const add = epilogue?.add as GpuTensor | undefined;
  const kernel = unqueried(valueDim, output.dtype as Storage, add?.dtype as Storage | undefined);
  const values = {
    output: output.storage,
    logSumExp: logSumExp.storage,
    shape: { rows },
    ...(add && { addend: add.storage }),
  } as never;
  await gpu.launch(kernel, values, Math.ceil((rows * Math.ceil(valueDim / 4)) / 64));
}
