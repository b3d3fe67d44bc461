import {
  ArgumentError,
  type AttendOptions,
  attend,
  type Plan,
  type ScoreFunction,
  table,
} from '@saccade/attention';
import type { Inputs, Outputs, RunContext } from '../kit/paper.ts';
import { remember } from '../kit/remember.ts';
import { type Axis, axesOf, dynamicPlan, staticPlan, usualTile } from '../kit/windows.ts';
import type { Options } from './paper.ts';

/**
 * Fused neighbourhood attention: select by a rule, attend, nothing to correct. Equation numbers as in reference.ts.
 * @throws ArgumentError where window, dilation or grid do not fit the tokens, or the bias table its size
 */
export async function neighborhoodAttention(
  { query, key, value }: Inputs,
  options: Options,
  run: RunContext = {},
): Promise<Outputs> {
  const [, heads, tokens] = query.shape;
  const axes = axesOf('fna', tokens, options);
  const plan = neighborhoodPlan(axes, options.route); // select: (1), (2)
  // attend: (3), (4) in one kernel; the weights never reach memory
  const attended: AttendOptions = {
    plan,
    score: options.relativeBias && biasScore(axes, heads, options.relativeBias, options.causal),
    signal: run.signal,
  };
  const { output, logSumExp } = await attend(query, key, value, attended);
  return { output, logSumExp, attended }; // correct: nothing
}

/** (3) b[h, key − query on each axis, in steps of the dilation, + window − 1] added to the score. */
function biasScore(
  axes: readonly Axis[],
  heads: number,
  bias: readonly number[],
  causal: readonly boolean[],
): ScoreFunction {
  const shape = [heads, ...axes.map(({ window }) => 2 * window - 1)];
  const size = shape.reduce((all, length) => all * length, 1);
  if (bias.length !== size)
    throw new ArgumentError(
      'fna',
      'relativeBias',
      `${bias.length} numbers`,
      `${size}, the product of [${shape.join(', ')}]`,
    );
  if (causal.some(Boolean))
    throw new ArgumentError('fna', 'relativeBias', 'given with causal', 'no causal axis');
  const handle = table(Float32Array.from(bias), shape);
  return ({ score, head, query, key, read }) => {
    const index = axes.map(({ length, window, dilation }, a) => {
      const below = axes.slice(a + 1).reduce((all, axis) => all * axis.length, 1);
      const on = (token: typeof query) => token.div(below).mod(length);
      return on(key)
        .sub(on(query))
        .div(dilation)
        .add(window - 1);
    });
    return score.add(read(handle, head, ...index));
  };
}

/** Query boxes of 64 tokens, and the keys that each box needs. */
const neighborhoodPlan = remember((axes: readonly Axis[], route: Options['route']): Plan => {
  const tile = usualTile(axes.length);
  const name = `neighbourhood ${axes.map(({ window }) => window).join(' x ')}`;
  return route === 'boxes' ? dynamicPlan(name, axes, tile) : staticPlan(name, axes, tile, tile);
});
