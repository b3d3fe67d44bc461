import { describe, expect, test } from 'vitest';
import { ArgumentError, DeviceError } from '../errors.ts';
import { openDevice } from './open.ts';
import { resolveTier } from './tiers.ts';

const nothing = new Set<string>();
const subgroups = new Set(['subgroups', 'timestamp-query']);

describe('the tier of a WebGPU device', () => {
  test.each([
    ['portable where the adapter has no subgroups', nothing, false, 'portable'],
    ['subgroup where it has them', subgroups, false, 'subgroup'],
    ['portable on an adapter in software', subgroups, true, 'portable'],
  ] as const)('is %s', (_name, features, software, tier) => {
    expect(resolveTier(undefined, features, software)).toBe(tier);
  });

  test('can be forced, where the adapter has its features', () => {
    expect(resolveTier('subgroup', subgroups, true)).toBe('subgroup');
    expect(resolveTier('portable', subgroups, false)).toBe('portable');
    expect(() => resolveTier('subgroup', nothing, false)).toThrow(DeviceError);
    expect(() => resolveTier('subgroup', nothing, false)).toThrow(/needs: the WebGPU features subgroups/);
    expect(() => resolveTier('wasm', subgroups, false)).toThrow(ArgumentError);
  });
});

test('a tier names the kind of device', async () => {
  const device = await openDevice('auto', { tier: 'reference' });
  expect(device.kind).toBe('reference');
  await device.close();
});
