import {
  ArgumentError,
  type AttendOptions,
  attend,
  blockListPlan,
  blockMean,
  blockScores,
  type ListedBlock,
  type Plan,
  selectedPlan,
  type Tensor,
  throwIfAborted,
  topK,
} from '@saccade/attention';
import type { Inputs, Outputs, RunContext } from '../kit/paper.ts';
import { checkLocalKernel, localContext } from './local-context.ts';
import type { Options } from './paper.ts';
import { type RegionGeometry, regionGeometry, regionLayout } from './regions.ts';

/**
 * Bi-level routing attention on the engines: select regions by their means, attend, add the local convolution.
 * Nothing of the routing visits the host. Equation numbers as in reference.ts.
 * @throws ArgumentError where grid, regions or the local kernel do not fit the tensors, or (checkFinite) query or key
 *   hold NaN or infinities
 */
export async function biLevelRoutingAttention(
  { query, key, value }: Inputs,
  options: Options,
  run: RunContext = {},
): Promise<Outputs> {
  const tokens = key.shape[2];
  if (query.shape[2] !== tokens)
    throw new ArgumentError('biformer', 'query', `${query.shape[2]} tokens`, `${tokens}, as key`);
  const geometry = regionGeometry(tokens, options);
  checkLocalKernel(query.shape[1] * value.shape[3], options);
  throwIfAborted(run.signal);
  const held: Tensor[] = [];
  let add: Tensor | undefined;
  try {
    // select
    const plan = await routedPlan(query, key, geometry, options, held);
    // correct: (6) is computed first, so that the attention kernel adds it when it writes
    add = await localContext(value, query.shape[1], geometry, options, query.dtype);
    const scale = (query.shape[1] * query.shape[3]) ** -0.5; // the whole channel width, not the head's
    const attended: AttendOptions = { plan, scale, signal: run.signal };
    // attend: (5)
    const { output, logSumExp } = await attend(query, key, value, {
      ...attended,
      epilogue: add && { add },
    });
    return { output, logSumExp, attended, held };
  } catch (error) {
    for (const tensor of held) tensor.dispose();
    throw error;
  } finally {
    add?.dispose();
  }
}

/** (1) to (4) as a plan. Tensors that the plan reads are pushed to `held`. */
async function routedPlan(
  query: Tensor,
  key: Tensor,
  geometry: RegionGeometry,
  options: Options,
  held: Tensor[],
): Promise<Plan> {
  const layout = regionLayout(geometry);
  const tokens = key.shape[2];
  const { regionCount, topk } = geometry;
  const lowered = topk < options.topk ? `, k lowered from ${options.topk}` : '';
  const shared = {
    name: `${regionCount} regions, ${options.routing} routing to ${options.routing === 'window' ? 1 : topk}${lowered}`,
    queryTokens: tokens,
    keyTokens: tokens,
    queries: layout,
    keys: layout,
  };
  if (options.checkFinite || options.routing === 'content') {
    const means: Tensor[] = [];
    try {
      means.push(await blockMean(query, layout), await blockMean(key, layout)); // (2)
      if (options.checkFinite) await checkFinite(means);
      if (options.routing === 'content' && tokens > 0 && query.shape[0] > 0) {
        // (3): summed over heads, so one graph for all of them
        const scores = await blockScores(means[0], means[1], { heads: 'sum' });
        means.push(scores);
        const selected = await topK(scores, { k: topk }); // (4)
        held.push(selected.rows, selected.blocks);
        return selectedPlan({ ...shared, selected });
      }
    } finally {
      for (const tensor of means) tensor.dispose();
    }
  }
  const lists: ListedBlock[][] =
    options.routing === 'random'
      ? randomLists(regionCount, topk, options.seed)
      : Array.from({ length: regionCount }, (_, block) => [{ block }]);
  return blockListPlan({ ...shared, lists });
}

/** k different regions for each region, the same for the same seed. */
export function randomLists(regionCount: number, k: number, seed: number): { block: number }[][] {
  let state = seed >>> 0;
  const next = (bound: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // linear congruential; the high bits are the good ones
    return Math.floor((state / 2 ** 32) * bound);
  };
  return Array.from({ length: regionCount }, () => {
    const pool = Array.from({ length: regionCount }, (_, block) => block);
    for (let i = 0; i < k; i++) {
      const j = i + next(regionCount - i);
      [pool[i], pool[j]] = [pool[j], pool[i]];
    }
    return pool
      .slice(0, k)
      .sort((a, b) => a - b)
      .map((block) => ({ block }));
  });
}

async function checkFinite(means: readonly Tensor[]): Promise<void> {
  // a NaN or an infinity in a token is one in its region's mean
  const names = ['query', 'key'];
  for (const [i, mean] of means.entries()) {
    const bad = (await mean.read()).findIndex((number) => !Number.isFinite(number));
    if (bad < 0) continue;
    const [, heads, regions, headDim] = mean.shape;
    const [region, head] = [Math.floor(bad / headDim) % regions, Math.floor(bad / headDim / regions) % heads];
    throw new ArgumentError(
      'biformer',
      names[i],
      `not finite (head ${head}, region ${region})`,
      'finite numbers with checkFinite',
    );
  }
}
