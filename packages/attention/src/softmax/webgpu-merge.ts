import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { throwIfAborted } from '../errors.ts';
import { sizeOf } from '../tensor.ts';
import { assemble, wgsl } from '../wgsl/assemble.ts';
import { read, uniform, write } from '../wgsl/bindings.ts';
import { kept } from '../wgsl/kept.ts';
import type { AttendResult, MergeRequest } from './request.ts';
import { readNumber, type Storage } from './tiers/access.ts';

/** One more part joins what was merged before: L = log(exp a + exp b), O = exp(a − L) A + exp(b − L) B. */
const mergeKernel = kept((first: Storage, second: Storage) =>
  assemble({
    name: 'merge',
    bindings: {
      firstOutput: read(first === 'f16' ? 'u32' : 'f32'), // [rows, valueDim]
      firstSum: read('f32'), // [rows]
      secondOutput: read(second === 'f16' ? 'u32' : 'f32'),
      secondSum: read('f32'),
      output: write('f32'),
      logSumExp: write('u32'),
      shape: uniform({ rows: 'u32', valueDim: 'u32' }),
    },
    constants: { MINUS_INFINITY: 0xff800000 },
    stages: [
      readNumber('firstOutput', first),
      readNumber('secondOutput', second),
      wgsl`
// -Infinity by its bits: a GPU may compute as if there were none.
fn isEmpty(sum: f32) -> bool { return bitcast<u32>(sum) == MINUS_INFINITY; }`,
    ],
    threads: 64,
    memoryLimit: 0,
    main: wgsl`
  let at = workgroup * 64u + lane;
  if (at >= shape.rows * shape.valueDim) { return; }
  let row = at / shape.valueDim;
  let firstEmpty = isEmpty(firstSum[row]);
  let secondEmpty = isEmpty(secondSum[row]);
  let a = select(firstSum[row], -1e30, firstEmpty);
  let b = select(secondSum[row], -1e30, secondEmpty);
  let base = max(a, b);
  let weightA = select(exp(a - base), 0.0, firstEmpty);
  let weightB = select(exp(b - base), 0.0, secondEmpty);
  let total = weightA + weightB;
  let empty = firstEmpty && secondEmpty;
  let inverse = select(1.0 / total, 0.0, empty);
  let numberA = select(firstOutputNumber(at), 0.0, firstEmpty);
  let numberB = select(secondOutputNumber(at), 0.0, secondEmpty);
  output[at] = weightA * inverse * numberA + weightB * inverse * numberB;
  if (at % shape.valueDim == 0u) { logSumExp[row] = select(bitcast<u32>(base + log(total)), MINUS_INFINITY, empty); }`,
  }),
);

/** mergeAttention() on WebGPU: parts join one after another, in the order given. The result is f32. */
export async function mergeOnGpu(gpu: Gpu, { parts, signal }: MergeRequest): Promise<AttendResult> {
  gpu.check();
  const shape = parts[0].output.shape;
  const elements = sizeOf(shape);
  let merged = parts[0] as { output: GpuTensor; logSumExp: GpuTensor };
  // a single part is merged with itself shifted out: copied, so that the caller owns two separate results
  const rest = parts.length > 1 ? parts.slice(1) : [emptyPart(gpu, shape)];
  for (const [index, part] of rest.entries()) {
    const next = { output: gpu.empty(shape, 'f32'), logSumExp: gpu.empty(shape.slice(0, 3), 'f32') };
    const second = part as { output: GpuTensor; logSumExp: GpuTensor };
    const kernel = mergeKernel(merged.output.dtype as Storage, second.output.dtype as Storage);
    await gpu.pipeline(kernel);
    throwIfAborted(signal);
    await gpu.launch(
      kernel,
      {
        firstOutput: merged.output.storage,
        firstSum: merged.logSumExp.storage,
        secondOutput: second.output.storage,
        secondSum: second.logSumExp.storage,
        output: next.output.storage,
        logSumExp: next.logSumExp.storage,
        shape: { rows: sizeOf(shape.slice(0, 3)), valueDim: shape[3] },
      },
      Math.ceil(elements / 64),
    );
    const made = index > 0 ? [merged] : [];
    if (parts.length === 1) made.push(second);
    for (const { output, logSumExp } of made) {
      output.dispose();
      logSumExp.dispose();
    }
    merged = next;
  }
  return merged;
}

function emptyPart(gpu: Gpu, shape: readonly number[]) {
  const rows = shape.slice(0, 3);
  return {
    output: gpu.empty(shape, 'f32'),
    logSumExp: gpu.tensor(new Float32Array(sizeOf(rows)).fill(-Infinity), rows, 'f32'),
  };
}
