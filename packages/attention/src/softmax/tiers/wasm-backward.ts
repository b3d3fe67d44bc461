import type { WasmRuntime } from '../../device/wasm-runtime.ts';
import { WasmTensor } from '../../device/wasm-tensor.ts';
import { differsFromOne } from '../../mods/derivative.ts';
import type { Node, Traced } from '../../mods/expression.ts';
import { queryBlocks } from '../../plan.ts';
import { type Shape, sizeOf } from '../../tensor.ts';
import { type DerivedRequest, withDerivatives } from '../derived-request.ts';
import { type AttendGradients, type BackwardRequest, blockSumsShape } from '../request.ts';
import { separateCausal } from './wasm-causal.ts';
import type { WasmExpressions } from './wasm-expressions.ts';
import { addressOf, floats, Lease } from './wasm-lease.ts';
import { chunksOf, writeBackwardParams, writeParams } from './wasm-params.ts';

/** Tasks that a call is cut into where it has fewer key heads; not the number of threads, so that results do not depend on it. */
const LEAST_TASKS = 8;

/**
 * attendBackward() in WASM. A task owns a key head, or a share of the queries that read it, and walks them as the
 * forward pass does, so that one walk gives dQ, dK and dV; shares are added up in order.
 */
export class WasmBackward {
  private readonly runtime: WasmRuntime;
  private readonly expressions: WasmExpressions;

  constructor(runtime: WasmRuntime, expressions: WasmExpressions) {
    this.runtime = runtime;
    this.expressions = expressions;
  }

  async attendBackward(request: BackwardRequest): Promise<AttendGradients> {
    const made: WasmTensor[] = [];
    const lease = new Lease(this.runtime);
    try {
      return await this.compute(withDerivatives(request), lease, (shape) => {
        const tensor = new WasmTensor(this.runtime.device, this.runtime.heap, shape, 'f32');
        made.push(tensor);
        return tensor;
      });
    } catch (error) {
      for (const tensor of made) tensor.dispose();
      throw error;
    } finally {
      lease.end();
    }
  }

  private async compute(
    request: DerivedRequest,
    lease: Lease,
    make: (shape: Shape) => WasmTensor,
  ): Promise<AttendGradients> {
    const { heap } = this.runtime;
    const { query, key, value, plan, tables, score, headDim, valueDim } = request;
    const [queryGradient, keyGradient, valueGradient] = [query, key, value].map(({ shape }) => make(shape));
    const blockSums = request.blockSums ? make(blockSumsShape(request)) : undefined;
    const sums = [...tables.map(({ shape }) => make(shape)), ...(blockSums ? [blockSums] : [])];
    const starts = [0];
    for (const tensor of sums) starts.push(starts[starts.length - 1] + sizeOf(tensor.shape));
    const sumsATask = starts[sums.length];

    const keyHeads = request.batch * request.keyHeads;
    const chunks = queryBlocks(plan) * chunksOf(plan);
    const splits = Math.max(1, Math.min(chunks, Math.ceil(LEAST_TASKS / Math.max(keyHeads, 1))));
    const tasks = keyHeads * splits;
    const zeros = (count: number) => {
      const at = lease.bytes(4 * count);
      heap.u32(at, count).fill(0);
      return at;
    };
    const [keySize, valueSize] = [sizeOf(key.shape), sizeOf(value.shape)];
    const shares = { key: zeros(splits * keySize), value: zeros(splits * valueSize) };
    const tableSums = zeros(2 * tasks * sumsATask);
    heap.f32(queryGradient.storage, sizeOf(query.shape)).fill(0);

    if (tasks > 0 && chunks > 0) {
      const { causalOffset, mask } = separateCausal(request);
      const derived = derivedOf(request);
      const expression = await this.expressions.compile(mask, score, derived.expressions);
      const addresses = expression ? lease.words(lease.tables(expression.tables)) : 0;
      const rows = this.rowStatistics(request);
      const params = writeParams({
        request,
        causalOffset,
        expression: expression !== undefined,
        tables: addresses,
        output: 0,
        logSumExp: 0,
        address: addressOf,
        indices: (data) => lease.indices(data),
        signed: (data) => lease.words(data),
      });
      writeBackwardParams(params, {
        request,
        splits,
        outputGradient: addressOf(request.outputGradient),
        rowSums: lease.words(rows.sums),
        rowMeans: lease.words(rows.means),
        query: queryGradient.storage,
        key: shares.key,
        value: shares.value,
        reads: { count: request.tableReads.length, at: lease.words(derived.reads(starts)) },
        scoreTables: addresses + 4 * (mask?.tables.length ?? 0),
        tableSums,
        sumsATask,
        blockSumsAt: starts[tables.length],
      });
      await this.runtime.run({
        entry: 'attendBackward',
        params: lease.words(params),
        headDim,
        valueDim,
        expression: expression?.modules,
        signal: request.signal,
      });
    }
    this.addShares(shares.key, splits, keyGradient);
    this.addShares(shares.value, splits, valueGradient);
    sums.forEach((tensor, i) => {
      this.addTableSums(tableSums, tasks, sumsATask, starts[i], tensor);
    });
    return {
      query: queryGradient,
      key: keyGradient,
      value: valueGradient,
      tables: sums.slice(0, tables.length),
      blockSums,
    };
  }

  /** Each row's log-sum-exp (1e30 where it sees no key) and rowsum(dO ∘ O) − dL. */
  private rowStatistics(request: BackwardRequest): { sums: Float32Array; means: Float32Array } {
    const { heap } = this.runtime;
    const { valueDim } = request;
    const output = floats(request.output, heap);
    const outputGradient = floats(request.outputGradient, heap);
    const logSumExp = floats(request.logSumExp, heap);
    const logSumExpGradient = request.logSumExpGradient && floats(request.logSumExpGradient, heap);
    const sums = new Float32Array(logSumExp.length);
    const means = new Float32Array(logSumExp.length);
    for (let row = 0; row < sums.length; row++) {
      sums[row] = logSumExp[row] === -Infinity ? 1e30 : logSumExp[row];
      if (logSumExp[row] === -Infinity) continue;
      let mean = logSumExpGradient ? -logSumExpGradient[row] : 0;
      for (let d = row * valueDim; d < (row + 1) * valueDim; d++) mean += output[d] * outputGradient[d];
      means[row] = mean;
    }
    return { sums, means };
  }

  private addShares(from: number, splits: number, to: WasmTensor): void {
    const size = sizeOf(to.shape);
    const target = this.runtime.heap.f32(to.storage, size);
    target.set(this.runtime.heap.f32(from, size));
    for (let split = 1; split < splits; split++) {
      const share = this.runtime.heap.f32(from + 4 * split * size, size);
      for (let i = 0; i < size; i++) target[i] += share[i];
    }
  }

  private addTableSums(from: number, tasks: number, sumsATask: number, first: number, to: WasmTensor): void {
    const size = sizeOf(to.shape);
    const target = this.runtime.heap.f32(to.storage, size);
    const sums = new Float64Array(this.runtime.heap.memory.buffer, from, tasks * sumsATask);
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let task = 0; task < tasks; task++) sum += sums[task * sumsATask + first + i];
      target[i] = sum;
    }
  }
}

/** The expressions that the kernel evaluates beside the score, the slope first, and the words that name them. */
function derivedOf({ slope, tableReads, tables, score }: DerivedRequest) {
  const expressions: Traced[] = slope ? [slope] : [];
  const add = (node: Node) => expressions.push({ node, tables: score?.tables ?? [] }) - 1;
  const places = tableReads.map(({ index, partial }) => [
    add(index),
    differsFromOne(partial) ? add(partial) : -1,
  ]);
  return {
    expressions,
    reads: (starts: readonly number[]) =>
      Int32Array.from(
        tableReads.flatMap(({ table }, i) => [
          ...places[i],
          starts[tables.indexOf(table)],
          sizeOf(table.shape) - 1,
        ]),
      ),
  };
}
