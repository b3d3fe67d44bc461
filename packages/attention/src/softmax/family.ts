import type { GpuTier } from '../device/device.ts';
import type { AttendRequest } from './request.ts';
import type { ForwardOf } from './retile.ts';
import type { Storage } from './tiers/access.ts';
import type { Blocks, ForcedTile, Machine } from './tiers/forward.ts';
import { type ForwardOptions, plainForward } from './tiers/forward-options.ts';
import type { KeyKind } from './tiers/keys.ts';

/** Which keys a query sees, as far as it decides which tile is best: `dense`, `causal`, `blocks-64`, `gathered` … */
export type MaskClass = 'dense' | 'causal' | `blocks-${number}` | Exclude<KeyKind, 'all' | 'blocks'>;

/** Calls that one tile serves best, as far as a search on one adapter can know. */
export interface Family {
  tier: GpuTier;
  dtype: Storage;
  headDim: number;
  valueDim: number;
  mask: MaskClass;
  /** Masks (besides the causal one) or scores go through an expression. */
  expressions: boolean;
  /** Slots of a query block, at most MOST_QUERIES. */
  queryBlock: number;
  /** Names of buckets: `1024-4095`. */
  queryTokens: string;
  keyTokens: string;
  batchHeads: string;
}

/** No tile has more queries: beyond this the size of a query block does not matter. */
const MOST_QUERIES = 256;

/** Two octaves of tokens and three of heads are one bucket: closer sizes have the same best tile, within noise. */
const bucket = (count: number, octaves: number) => {
  const low = 2 ** (Math.floor(Math.log2(Math.max(count, 1)) / octaves) * octaves);
  return `${low}-${low * 2 ** octaves - 1}`;
};

/** The family of a call. */
export function familyOf(
  options: ForwardOptions,
  blocks: Blocks,
  request: Pick<AttendRequest, 'batch' | 'heads' | 'queryTokens' | 'keyTokens'>,
  tier: GpuTier,
): Family {
  const { keys, keep, change, maskIsCausal, maskIsBand, stopEarly } = options;
  const causal = keys === 'all' && stopEarly && maskIsCausal && change === undefined;
  const known = (causal || maskIsBand) && change === undefined;
  return {
    tier,
    dtype: options.storage,
    headDim: options.headDim,
    valueDim: options.valueDim,
    mask:
      keys === 'all'
        ? causal
          ? 'causal'
          : 'dense'
        : keys === 'blocks'
          ? `blocks-${blocks.keys.block}`
          : keys,
    expressions: keys === 'band' ? !known : !known && (keep !== undefined || change !== undefined),
    queryBlock: Math.min(blocks.queryBlock, MOST_QUERIES),
    queryTokens: bucket(request.queryTokens, 2),
    keyTokens: bucket(request.keyTokens, 2),
    batchHeads: bucket(request.batch * request.heads, 3),
  };
}

/** A family as one line, the same for equal families. */
export function familyName(family: Family): string {
  const { tier, dtype, headDim, valueDim, mask, expressions, queryBlock } = family;
  return [
    tier,
    dtype,
    headDim === valueDim ? `headDim ${headDim}` : `headDim ${headDim} valueDim ${valueDim}`,
    expressions ? `${mask} with expressions` : mask,
    queryBlock < MOST_QUERIES ? `by ${queryBlock} queries` : '',
    family.queryTokens === family.keyTokens
      ? `${family.keyTokens} tokens`
      : `${family.queryTokens} queries ${family.keyTokens} keys`,
    `${family.batchHeads} heads`,
  ]
    .filter(Boolean)
    .join(', ');
}

/**
 * A hash of the text that the generator makes of a tile for a family; of the rule's tile without one. What was measured
 * with another text says nothing about this one.
 */
export function kernelHash(
  family: Family,
  machine: Machine,
  tile: ForcedTile | undefined,
  forward: ForwardOf,
): string {
  const options = plainOptions(family, machine);
  const block = family.mask.startsWith('blocks-') ? Number(family.mask.slice(7)) : 1;
  const blocks = { queryBlock: family.queryBlock, keys: { slots: 64 * block, block } };
  const { kernel } = forward(options, blocks, machine, family.tier, tile);
  return hash(kernel.code);
}

/** A mask as expressions compile to. */
const KEEP =
  'fn keep(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> bool { return key <= query; }';

/** The plainest call of a family: its tile's text changes where the generator does. */
function plainOptions(family: Family, machine: Machine): ForwardOptions {
  const { dtype, headDim, valueDim, mask, expressions } = family;
  const causal = mask === 'causal';
  const ownBand = mask === 'band' && !expressions;
  return {
    ...plainForward,
    headDim,
    valueDim,
    storage: dtype,
    outputStorage: valueDim % 4 === 0 ? dtype : 'f32',
    keys: causal || mask === 'dense' ? 'all' : mask.startsWith('blocks-') ? 'blocks' : (mask as KeyKind),
    stopEarly: causal,
    honourFullBlocks: !causal,
    maskIsCausal: causal,
    maskIsBand: ownBand,
    keep: causal || ownBand || expressions ? KEEP : undefined,
    memoryLimit: machine.memoryBytes,
  };
}

/** FNV-1a of 32 bits, and the length. */
function hash(text: string): string {
  let bits = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) bits = Math.imul(bits ^ text.charCodeAt(i), 0x01000193);
  return `${(bits >>> 0).toString(16).padStart(8, '0')}-${text.length}`;
}
