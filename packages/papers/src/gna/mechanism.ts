import { ArgumentError, type AttendOptions, attend, type Plan } from '@saccade/attention';
import type { Inputs, Outputs, RunContext } from '../kit/paper.ts';
import { remember } from '../kit/remember.ts';
import { axesOf, dynamicPlan, staticPlan, usualTile } from '../kit/windows.ts';
import type { Options } from './paper.ts';

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
  const queryTile = tileOf(
    'queryTile',
    options.queryTile,
    axes.map(({ length }) => length),
  );
  const keyTile = tileOf(
    'keyTile',
    options.keyTile,
    axes.map(({ length }) => length),
  );
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
  grid: readonly number[],
): readonly number[] {
  if (tile === undefined) return usualTile(grid.length);
  if (tile.length !== grid.length)
    throw new ArgumentError(
      'gna',
      argument,
      `${tile.length} entries`,
      `${grid.length}, one an axis of the grid`,
    );
  return tile;
}
