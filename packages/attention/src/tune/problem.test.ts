import { expect, test } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { resolvePlan } from '../host-plan.ts';
import { densePlan } from '../plan.ts';
import { checkMask, type TunedMask } from './masks.ts';
import { oddSize, optionsOf } from './problem.ts';

const masks: TunedMask[] = ['dense', 'causal', 'blocks-1', 'blocks-16', 'blocks-64+mask', 'blocks-300'];
masks.push('gathered', 'band', 'ranges+mask', 'intervals', 'boxes');

test.each(masks)('calls of the mask %s name keys that are there, none twice', async (mask) => {
  const odd = oddSize({ mask, dtype: 'f32', headDim: 8 });
  for (const [queries, keys] of [
    [odd.queryTokens, odd.keyTokens],
    [256, 256],
    [16, 16],
  ]) {
    const { plan = densePlan(queries, keys) } = optionsOf(checkMask('here', mask), queries, keys);
    const host = await resolvePlan(plan);
    let visited = 0;
    for (let block = 0; block < host.queryBlocks; block++) {
      const seen = new Set<number>();
      host.forEachKey(0, block, (_slot, token) => {
        expect(token >= 0 && token < keys && !seen.has(token)).toBe(true);
        seen.add(token);
      });
      visited += seen.size;
    }
    expect(visited).toBeGreaterThan(0);
  }
});

test('a mask that is none is named with those that are', () => {
  for (const mask of ['blocks', 'blocks-0', 'causal+mask', 'dense+', ''])
    expect(() => checkMask('tune', mask)).toThrow(ArgumentError);
});
