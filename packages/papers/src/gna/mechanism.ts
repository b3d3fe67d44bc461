import { ArgumentError, type AttendOptions, attend, type Plan } from '@saccade/attention';
import type { Inputs, Outputs, RunContext } from '../kit/paper.ts';
import { remember } from '../kit/remember.ts';
import { type Axis, axesOf, dynamicPlan, staticPlan, usualTile } from '../kit/windows.ts';
import type { Options } from './paper.ts';
import { simulate } from './simulator.ts';

/**
 * Generalized neighbourhood attention: select by a rule, attend, nothing to correct. Equation numbers as in reference.ts.
 * @throws ArgumentError where window, stride, dilation, tile or grid do not fit the tokens
 */
export async function generalizedNeighborhoodAttention(
  { query, key, value }: Inputs,
  options: Options,
  run: RunContext = {},
): Promise<Outputs> {
  const plan = windowPlan(query.shape[2], key.shape[2], options); // select: (1) to (3) as lists of key tiles
  const attended: AttendOptions = { plan, signal: run.signal };
  const { output, logSumExp } = await attend(query, key, value, attended); // attend: (4)
  return { output, logSumExp, attended }; // correct: nothing
}

/** The plan of a grid: which key tiles each query tile visits, and the mask for those that are cut by a window. */
export const windowPlan = remember((queryTokens: number, keyTokens: number, options: Options): Plan => {
  const { extraTokens, keyTiling } = options;
  if (keyTokens !== queryTokens + extraTokens) {
    throw new ArgumentError(
      'gna',
      'key',
      `${keyTokens} tokens`,
      `${queryTokens + extraTokens}: the query's and ${extraTokens} extra tokens`,
    );
  }
  const axes = axesOf('gna', queryTokens, options);
  const keyTile = tileOf('keyTile', options.keyTile, axes.length) ?? usualTile(axes.length);
  const queryTile =
    tileOf('queryTile', options.queryTile, axes.length) ??
    (keyTiling === 'static' ? sharingTile(axes, keyTile) : usualTile(axes.length));
  const name = `windows of ${axes.map(({ window }) => window).join(' x ')}, stride ${axes.map(({ stride }) => stride).join(' x ')}`;
  if (keyTiling === 'dynamic') {
    if (extraTokens > 0)
      throw new ArgumentError('gna', 'extraTokens', extraTokens, '0 with keyTiling dynamic');
    return dynamicPlan(name, axes, queryTile);
  }
  return staticPlan(name, axes, queryTile, keyTile, extraTokens);
});

function tileOf(
  argument: string,
  tile: readonly number[] | undefined,
  rank: number,
): readonly number[] | undefined {
  if (tile && tile.length !== rank)
    throw new ArgumentError('gna', argument, `${tile.length} entries`, `${rank}, one an axis of the grid`);
  return tile;
}

/** Queries that the largest kernels take at once. */
const MOST_QUERIES = 256;

/**
 * The usual query tile, doubled along axes while its boxes visit no more pairs: with strides neighbours share their windows, and
 * a kernel that takes them together reads each key for more queries.
 */
export function sharingTile(axes: readonly Axis[], keyTile: readonly number[]): number[] {
  const pairs = (queryTile: readonly number[]) => {
    const { visited } = simulate({ axes, queryTile, keyTile, keyTiling: 'static' });
    return volume(queryTile) * visited.reduce((sum, count) => sum + count, 0);
  };
  let tile = usualTile(axes.length);
  const least = pairs(tile);
  for (;;) {
    const wider = axes
      .map((_, a) => tile.map((length, b) => (a === b ? 2 * length : length)))
      .find((candidate) => volume(candidate) <= MOST_QUERIES && pairs(candidate) <= least);
    if (!wider) return tile;
    tile = wider;
  }
}

const volume = (tile: readonly number[]) => tile.reduce((size, length) => size * length, 1);
