import { ArgumentError, DeviceError } from '../errors.ts';
import { type GpuTier, type Tier, tiersOf } from './device.ts';

/** WebGPU features that a tier's kernels use. */
const needs: Record<GpuTier, readonly string[]> = {
  portable: [],
  subgroup: ['subgroups'],
  matrix: ['subgroups', 'shader-f16', 'chromium-experimental-subgroup-matrix'],
};

/** Tiers that have kernels in this version, the fastest first. */
const written: readonly GpuTier[] = ['matrix', 'subgroup', 'portable'];

/** Every feature that some tier uses: asked of an adapter that has it. */
export const tierFeatures: readonly string[] = [...new Set(Object.values(needs).flat())];

const MATRIX = 'chromium-experimental-subgroup-matrix';

/**
 * The features of an adapter that kernels can use. Subgroup matrices are there in the form that the matrix tier is written
 * for, f16 x f16 -> f32 at 16 x 16 x 16 and 32 lanes, or not at all.
 */
export function usableFeatures({ features, info }: Pick<GPUAdapter, 'features' | 'info'>): Set<string> {
  const usable = new Set<string>(features);
  const listed = (info as { subgroupMatrixConfigs?: Iterable<MatrixConfiguration> }).subgroupMatrixConfigs;
  const configurations = [...(listed ?? [])];
  const fits =
    info.subgroupMinSize === 32 &&
    info.subgroupMaxSize === 32 &&
    // an adapter that lists none says nothing
    (configurations.length === 0 ||
      configurations.some(
        ({ M, N, K, componentType, resultComponentType }) =>
          M === 16 && N === 16 && K === 16 && componentType === 'f16' && resultComponentType === 'f32',
      ));
  if (!fits) usable.delete(MATRIX);
  return usable;
}

interface MatrixConfiguration {
  M: number;
  N: number;
  K: number;
  componentType: string;
  resultComponentType: string;
}

/** The features that a tier needs and a device or adapter lacks. */
export function missingFeatures(tier: GpuTier, features: ReadonlySet<string>): string[] {
  return needs[tier].filter((feature) => !features.has(feature));
}

/**
 * The tier to run: the one asked for, else the fastest that the features allow. Kernels of the higher tiers are made for
 * the registers and the lanes of hardware: an adapter in software runs the portable ones faster.
 * @throws ArgumentError for a tier that is none of WebGPU's; DeviceError that says what the device lacks
 */
export function resolveTier(
  asked: Tier | undefined,
  features: ReadonlySet<string>,
  software: boolean,
): GpuTier {
  if (asked === undefined) {
    if (software) return 'portable';
    return written.find((tier) => missingFeatures(tier, features).length === 0) ?? 'portable';
  }
  const tier = tiersOf.webgpu.find((one) => one === asked);
  if (tier === undefined) throw new ArgumentError('openDevice', 'tier', asked, tiersOf.webgpu.join(', '));
  requireTier(tier, features);
  return tier;
}

/** @throws DeviceError that says what is missing, if kernels of the tier cannot run */
export function requireTier(tier: GpuTier, features: ReadonlySet<string>): void {
  if (!written.includes(tier))
    throw new DeviceError(`the tier '${tier}' is not in this version`, {
      needs: `kernels of the tier '${tier}'`,
      has: `those of ${written.join(', ')}`,
    });
  const missing = missingFeatures(tier, features);
  if (missing.length > 0)
    throw new DeviceError(`the tier '${tier}' does not run on this adapter`, {
      needs: `the WebGPU features ${needs[tier].join(', ')}`,
      has: `none of the name${missing.length > 1 ? 's' : ''} ${missing.join(', ')}`,
    });
}
