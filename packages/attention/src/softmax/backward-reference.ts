import { sizeOf } from '../tensor.ts';
import type { DerivedRequest } from './derived-request.ts';
import { attendReference, compileOnHost, onHost } from './reference.ts';
import { type AttendRequest, blockSumsShape } from './request.ts';

export interface HostGradients {
  query: Float64Array;
  key: Float64Array;
  value: Float64Array;
  tables: Float64Array[];
  blockSums: Float64Array | undefined;
}

/** Called with dS of each kept pair; key -1: a zero key outside the grid. */
export type VisitPair = (
  batch: number,
  head: number,
  query: number,
  key: number,
  scoreGradient: number,
) => void;

type Given = Pick<DerivedRequest, 'slope' | 'tableReads' | 'tables' | 'blockSums'> & {
  output: ArrayLike<number>;
  logSumExp: ArrayLike<number>;
  outputGradient: ArrayLike<number>;
  logSumExpGradient: ArrayLike<number> | undefined;
};

/** attendBackward() by plain loops in float64: the meaning that every tier must agree with. */
export async function attendBackwardReference(request: DerivedRequest): Promise<HostGradients> {
  const [output, logSumExp, outputGradient, logSumExpGradient] = await Promise.all([
    request.output.read(),
    request.logSumExp.read(),
    request.outputGradient.read(),
    request.logSumExpGradient?.read(),
  ]);
  return gradients(request, { ...request, output, logSumExp, outputGradient, logSumExpGradient });
}

/**
 * Gradients of a request without an epilogue or a score expression, on the host; output and log-sum-exp are computed
 * on the way. With a score expression that only adds to the score they are still right, and `visit` receives dS.
 */
export async function attendGradientsReference(
  request: AttendRequest,
  outputGradient: ArrayLike<number>,
  visit?: VisitPair,
): Promise<{ query: Float64Array; key: Float64Array; value: Float64Array }> {
  const { output, logSumExp } = await attendReference({ ...request, epilogue: undefined });
  const plain = { slope: undefined, tableReads: [], tables: [], blockSums: false };
  return gradients(
    request,
    { ...plain, output, logSumExp, outputGradient, logSumExpGradient: undefined },
    visit,
  );
}

async function gradients(request: AttendRequest, given: Given, visit?: VisitPair): Promise<HostGradients> {
  const host = await onHost(request);
  const { batch, heads, keyHeads, queryTokens, keyStride, headDim, valueDim, scale, plan } = request;
  const slope = given.slope && (await compileOnHost(given.slope));
  const reads = await Promise.all(
    given.tableReads.map(async ({ table, index, partial }) => ({
      number: given.tables.indexOf(table),
      last: sizeOf(table.shape) - 1,
      index: await compileOnHost({ node: index, tables: request.score?.tables ?? [] }),
      partial: await compileOnHost({ node: partial, tables: request.score?.tables ?? [] }),
    })),
  );
  const sumsShape = blockSumsShape(request);
  const [, , blockRows, keyBlocks] = sumsShape;
  const gradient: HostGradients = {
    query: new Float64Array(host.query.length),
    key: new Float64Array(host.key.length),
    value: new Float64Array(host.value.length),
    tables: given.tables.map(({ shape }) => new Float64Array(sizeOf(shape))),
    blockSums: given.blockSums ? new Float64Array(sizeOf(sumsShape)) : undefined,
  };
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const keyHead = (b * keyHeads + Math.floor(h / (heads / keyHeads))) * keyStride;
      const list = host.plan.listOf(b, h, heads);
      for (let slot = 0; slot < plan.queries.slots; slot++) {
        const token = host.plan.queryToken(slot);
        if (token < 0) continue;
        const { keys, keySlots, products, scores } = host.row(b, h, slot);
        const block = Math.floor(slot / plan.queries.block);
        const row = (b * heads + h) * queryTokens + token;
        const logSumExp = given.logSumExp[row];
        if (logSumExp === -Infinity) continue;
        let mean = 0;
        for (let d = 0; d < valueDim; d++)
          mean += given.outputGradient[row * valueDim + d] * given.output[row * valueDim + d];
        if (given.logSumExpGradient) mean -= given.logSumExpGradient[row];
        keys.forEach((key, p) => {
          const weight = Math.exp(scores[p] - logSumExp);
          let weightGradient = 0;
          if (key >= 0)
            for (let d = 0; d < valueDim; d++)
              weightGradient +=
                given.outputGradient[row * valueDim + d] * host.value[(keyHead + key) * valueDim + d];
          const scoreGradient = weight * (weightGradient - mean);
          visit?.(b, h, token, key, scoreGradient);
          const at = {
            batch: b,
            head: h,
            query: token,
            key,
            querySlot: slot % plan.queries.block,
            keySlot: keySlots[p],
            score: products[p],
          };
          for (const { number, last, index, partial } of reads)
            gradient.tables[number][Math.min(Math.max(index(at), 0), last)] += scoreGradient * partial(at);
          if (gradient.blockSums) {
            const keyBlock = host.plan.keyBlock(list, block, keySlots[p]);
            gradient.blockSums[((b * heads + h) * blockRows + block) * keyBlocks + keyBlock] += scoreGradient;
          }
          if (key < 0) return;
          for (let d = 0; d < valueDim; d++)
            gradient.value[(keyHead + key) * valueDim + d] +=
              weight * given.outputGradient[row * valueDim + d];
          const productGradient = scale * scoreGradient * (slope ? slope(at) : 1);
          for (let d = 0; d < headDim; d++) {
            gradient.query[row * headDim + d] += productGradient * host.key[(keyHead + key) * headDim + d];
            gradient.key[(keyHead + key) * headDim + d] += productGradient * host.query[row * headDim + d];
          }
        });
      }
    }
  }
  return gradient;
}
