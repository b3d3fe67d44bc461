import { type AttendOptions, attentionRows, openDevice, resolvePlan, type Tensor } from '@saccade/attention';
import type { Paper } from '../paper.ts';
import type { TokenInputs } from './features.ts';

/** What a query's row of the plan is, before any attention is computed. */
export interface Pattern {
  /** Of the call that the mechanism would make: plan, mask, scale. */
  attended: AttendOptions;
  /** [tokens] for one query: 0 not visited, 1 visited and masked (work for nothing), 2 seen. */
  levels(query: number, head?: number): Uint8Array;
  /** Tokens that share the query's tile: the kernel visits one set of keys for all of them. */
  tile(query: number): readonly number[];
  /** Keys seen, as a mean over sampled queries and as a share of all keys. */
  density: number;
  visitedShare: number;
}

/** Levels of Pattern.levels. */
export const VISITED = 1;
export const SEEN = 2;

/**
 * The mechanism on a device that selects but does not attend: its plan in a few milliseconds, on the page's own thread,
 * so that a picture follows a slider while the numbers are still being measured.
 * @throws ArgumentError as the mechanism does
 */
export async function patternOf<O>(paper: Paper<O>, options: O, data: TokenInputs): Promise<Pattern> {
  const device = await openDevice('reference');
  const shape = data.shape;
  // the reference's kernels but for the expensive one: blank results have the right shape and are never looked at
  const blank = (like: { output: readonly number[] }) => ({
    output: device.tensor(new Float32Array(0), [0, ...like.output.slice(1)]),
    logSumExp: device.tensor(new Float32Array(0), [0, ...like.output.slice(1, 3)]),
  });
  device.kernels.attend = async (request) =>
    blank({ output: [request.batch, request.heads, request.queryTokens, request.valueDim] });
  device.kernels.merge = async ({ parts }) => parts[0];
  const mechanism = await paper.mechanism();
  const query = device.tensor(data.query, shape);
  const key = device.tensor(data.key, shape);
  const value = device.tensor(data.value, shape);
  const { attended } = await mechanism({ query, key, value }, options);
  const [, heads, tokens] = shape;
  const small = (): Tensor => device.tensor(new Float32Array(heads * tokens), [1, heads, tokens, 1]);
  // scores do not matter here, only which keys are kept
  const kept: AttendOptions = { ...attended, score: undefined, epilogue: undefined };
  const row = await attentionRows(small(), small(), small(), kept);
  const { visits, tile } = await visitor(attended, heads);
  const levels = (at: number, head = 0) => {
    const picture = new Uint8Array(tokens);
    visits(at, head, (token) => {
      picture[token] = VISITED;
    });
    for (const token of row({ head, query: at }).keys) if (token >= 0) picture[token] = SEEN;
    return picture;
  };
  let seen = 0;
  let visited = 0;
  const samples = Math.min(tokens, 24);
  for (let i = 0; i < samples; i++) {
    for (const level of levels(Math.floor(((i + 0.5) * tokens) / samples))) {
      if (level === SEEN) seen++;
      if (level !== 0) visited++;
    }
  }
  await device.close();
  return {
    attended,
    levels,
    tile,
    density: seen / (samples * tokens),
    visitedShare: visited / (samples * tokens),
  };
}

async function visitor(attended: AttendOptions, heads: number) {
  const { plan } = attended;
  if (!plan) return { visits: () => {}, tile: (query: number) => [query] };
  const host = await resolvePlan(plan);
  const { slots, block } = plan.queries;
  const blockOf = new Int32Array(plan.queryTokens).fill(-1);
  for (let slot = 0; slot < slots; slot++) {
    const token = host.queryToken(slot);
    if (token >= 0) blockOf[token] = Math.floor(slot / block);
  }
  return {
    tile: (query: number) => {
      const tokens: number[] = [];
      const first = blockOf[query] * block;
      for (let slot = first; slot >= 0 && slot < Math.min(first + block, slots); slot++) {
        const token = host.queryToken(slot);
        if (token >= 0) tokens.push(token);
      }
      return tokens;
    },
    visits: (query: number, head: number, visit: (token: number) => void) => {
      if (blockOf[query] < 0) return;
      host.forEachKey(host.listOf(0, head, heads), blockOf[query], (_slot, token) => {
        if (token >= 0) visit(token);
      });
    },
  };
}
