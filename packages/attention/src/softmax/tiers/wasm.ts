import type { WasmRuntime } from '../../device/wasm-runtime.ts';
import { WasmTensor } from '../../device/wasm-tensor.ts';
import { ArgumentError, throwIfAborted } from '../../errors.ts';
import type { Table } from '../../mods/expression.ts';
import { compileToWasm, type WasmExpression } from '../../mods/to-wasm.ts';
import { type Indices, queryBlocks } from '../../plan.ts';
import { sizeOf, type Tensor } from '../../tensor.ts';
import type { AttendRequest, AttendResult, MergeRequest } from '../request.ts';
import { separateCausal } from './wasm-causal.ts';
import { writeParams } from './wasm-params.ts';
import { attendInParts, keyParts } from './wasm-split.ts';

type CompiledExpression = WasmExpression & { id: number; module: WebAssembly.Module };

/** Scratch of one call: released together when it ends. */
class Lease {
  private readonly places: number[] = [];
  readonly heap: WasmRuntime['heap'];

  constructor(runtime: WasmRuntime) {
    this.heap = runtime.heap;
  }

  bytes(count: number): number {
    const at = this.heap.allocate(count);
    this.places.push(at);
    return at;
  }

  words(data: Uint32Array | Int32Array | Float32Array): number {
    const at = this.bytes(data.byteLength);
    const source = new Uint32Array(data.buffer, data.byteOffset, data.length);
    this.heap.u32(at, data.length).set(source);
    return at;
  }

  indices(indices: Indices): number {
    return indices instanceof Uint32Array ? this.words(indices) : addressOf(indices);
  }

  end(): void {
    for (const at of this.places) this.heap.release(at);
  }
}

/** attend() and mergeAttention() in WASM: online softmax over tiles of 64 keys, eight query rows in the lanes. */
export class WasmAttention {
  private readonly runtime: WasmRuntime;
  private readonly compiled = new Map<string, CompiledExpression>();
  private compiledSoFar = 0;

  constructor(runtime: WasmRuntime) {
    this.runtime = runtime;
  }

  async attend(request: AttendRequest): Promise<AttendResult> {
    const { runtime } = this;
    const { heap, device } = runtime;
    const { batch, heads, queryTokens, headDim, valueDim, plan } = request;
    if (request.outputDType !== 'f32' && request.outputDType !== 'f16')
      throw new ArgumentError('attend', 'outputDType', request.outputDType, 'f32 or f16 on WASM');
    const { causalOffset, mask } = separateCausal(request);
    const parts = keyParts(request, runtime.threads, mask !== undefined || request.score !== undefined);
    if (parts > 1) return attendInParts(request, parts, (part) => this.attend(part));
    const expression = mask || request.score ? await this.compile({ ...request, mask }) : undefined;
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
      if (plan.queries.order || plan.queries.slots < queryTokens)
        this.fillUnqueried(request, output, logSumExp);
      if (batch * heads * queryBlocks(plan) > 0) {
        const tables = expression ? lease.words(this.tableAddresses(expression.tables, lease)) : 0;
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
          params: lease.words(params),
          headDim,
          valueDim,
          expression: expression && { id: expression.id, module: expression.module },
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

  private tableAddresses(tables: readonly Table[], lease: Lease): Uint32Array {
    return Uint32Array.from(tables, ({ data }) => {
      if (!('device' in data)) return lease.words(data);
      if (data.dtype !== 'f16') return addressOf(data);
      return lease.words(floats(data, this.runtime.heap));
    });
  }

  private async compile({ mask, score }: AttendRequest): Promise<CompiledExpression> {
    const made = compileToWasm(mask, score, this.runtime);
    const key = String.fromCharCode(...made.bytes.subarray(0, 60_000)) + made.bytes.length;
    const known = this.compiled.get(key);
    if (known) return { ...known, tables: made.tables };
    const module = await WebAssembly.compile(made.bytes);
    const compiled = { ...made, module, id: ++this.compiledSoFar };
    if (this.compiled.size >= 32) {
      const oldest = this.compiled.keys().next().value;
      if (oldest !== undefined) this.compiled.delete(oldest);
    }
    this.compiled.set(key, compiled);
    return compiled;
  }
}

function addressOf(tensor: Tensor): number {
  if (!(tensor instanceof WasmTensor))
    throw new ArgumentError('attend', 'tensor', 'on another device', 'a tensor of this WASM device');
  return tensor.storage;
}

/** The numbers of a tensor: a view for f32, a copy for f16. */
function floats(tensor: Tensor, heap: WasmRuntime['heap']): Float32Array {
  const at = addressOf(tensor);
  if (tensor.dtype === 'f16') return (tensor as WasmTensor).copy() as Float32Array;
  return heap.f32(at, sizeOf(tensor.shape));
}
