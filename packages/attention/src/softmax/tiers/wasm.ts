import type { WasmRuntime } from '../../device/wasm-runtime.ts';
import { WasmTensor } from '../../device/wasm-tensor.ts';
import { ArgumentError, throwIfAborted } from '../../errors.ts';
import { queriesEveryToken, queryBlocks } from '../../plan.ts';
import { sizeOf } from '../../tensor.ts';
import type { AttendRequest, AttendResult, MergeRequest } from '../request.ts';
import { separateCausal } from './wasm-causal.ts';
import type { WasmExpressions } from './wasm-expressions.ts';
import { addressOf, floats, Lease } from './wasm-lease.ts';
import { writeParams } from './wasm-params.ts';
import { attendInParts, keyParts } from './wasm-split.ts';

/** attend() and mergeAttention() in WASM: online softmax over tiles of 64 keys, eight query rows in the lanes. */
export class WasmAttention {
  private readonly runtime: WasmRuntime;
  private readonly expressions: WasmExpressions;

  constructor(runtime: WasmRuntime, expressions: WasmExpressions) {
    this.runtime = runtime;
    this.expressions = expressions;
  }

  async attend(request: AttendRequest): Promise<AttendResult> {
    const { runtime } = this;
    const { heap, device } = runtime;
    const { batch, heads, queryTokens, headDim, valueDim, plan } = request;
    if (request.outputDType !== 'f32' && request.outputDType !== 'f16')
      throw new ArgumentError('attend', 'outputDType', request.outputDType, 'f32 or f16 on WASM');
    if (request.order === 'key-major') {
      // few plans are walked from the keys' side
      const { attendKeyMajorOnWasm } = await import('./wasm-key-major.ts');
      return attendKeyMajorOnWasm(request, (part) => this.attend(part));
    }
    const { causalOffset, mask } = separateCausal(request);
    const parts = keyParts(request, runtime.threads, mask !== undefined || request.score !== undefined);
    if (parts > 1) return attendInParts(request, parts, (part) => this.attend(part));
    const expression = await this.expressions.compile(mask, request.score);
    const lease = new Lease(runtime);
    const made: WasmTensor[] = [];
    const tensor = (shape: readonly number[], dtype: 'f32' | 'f16') => {
      const result = new WasmTensor(device, heap, shape, dtype);
      made.push(result);
      return result;
    };
    try {
      const output = tensor([batch, heads, queryTokens, valueDim], request.outputDType);
      const logSumExp = tensor([batch, heads, queryTokens], 'f32');
      if (!queriesEveryToken(plan)) this.fillUnqueried(request, output, logSumExp);
      if (batch * heads * queryBlocks(plan) > 0) {
        const tables = expression ? lease.words(lease.tables(expression.tables)) : 0;
        const params = writeParams({
          request,
          causalOffset,
          expression: expression !== undefined,
          tables,
          output: output.storage,
          logSumExp: logSumExp.storage,
          address: addressOf,
          indices: (data) => lease.indices(data),
          signed: (data) => lease.words(data),
        });
        await runtime.run({
          entry: 'attend',
          params: lease.words(params),
          headDim,
          valueDim,
          expression: expression?.modules,
          signal: request.signal,
        });
      }
      return { output, logSumExp };
    } catch (error) {
      for (const result of made) result.dispose();
      throw error;
    } finally {
      lease.end();
    }
  }

  async merge({ parts, signal }: MergeRequest): Promise<AttendResult> {
    throwIfAborted(signal);
    const { heap, device } = this.runtime;
    const { shape, dtype } = parts[0].output;
    const outputs = parts.map((part) => floats(part.output, heap));
    const sums = parts.map((part) => floats(part.logSumExp, heap));
    const rows = sizeOf(shape.slice(0, 3));
    const valueDim = shape[3];
    const output = new WasmTensor(device, heap, shape, dtype);
    const logSumExp = new WasmTensor(device, heap, shape.slice(0, 3), 'f32');
    const merged = new Float32Array(valueDim);
    const place = heap.f32(logSumExp.storage, rows);
    for (let row = 0; row < rows; row++) {
      merged.fill(0);
      const maximum = Math.max(...sums.map((sum) => sum[row]));
      let total = -Infinity;
      if (maximum !== -Infinity) {
        total = maximum + Math.log(sums.reduce((all, sum) => all + Math.exp(sum[row] - maximum), 0));
        outputs.forEach((part, i) => {
          const weight = Math.exp(sums[i][row] - total);
          if (weight === 0) return;
          for (let d = 0; d < valueDim; d++) merged[d] += weight * part[row * valueDim + d];
        });
      }
      place[row] = total;
      output.write(merged, row * valueDim);
    }
    return { output, logSumExp };
  }

  /** Queries in no slot of the plan see nothing: zeros, or what the epilogue adds. */
  private fillUnqueried(request: AttendRequest, output: WasmTensor, logSumExp: WasmTensor): void {
    const { heap } = this.runtime;
    heap.f32(logSumExp.storage, sizeOf(logSumExp.shape)).fill(-Infinity);
    const add = request.epilogue?.add;
    if (add) output.write(floats(add, heap));
    else if (output.dtype === 'f16') heap.u16(output.storage, sizeOf(output.shape)).fill(0);
    else heap.f32(output.storage, sizeOf(output.shape)).fill(0);
  }
}
