import { ArgumentError } from '../errors.ts';

/**
 * Masks that a search makes a call of: all keys; those before the query; a list of an eighth of the key blocks of so many
 * keys; an eighth of the keys one by one; a band; a prefix of a sorted list; runs of keys; boxes. `+mask` adds an
 * expression that hides some pairs.
 */
export type TunedMask = `${MaskName}${'' | '+mask'}`;
type MaskName =
  | 'dense'
  | 'causal'
  | `blocks-${number}`
  | 'gathered'
  | 'band'
  | 'ranges'
  | 'intervals'
  | 'boxes';

const names = /^(?:dense|blocks-([1-9]\d{0,3})|gathered|ranges|intervals|boxes)(?:\+mask)?$|^causal$|^band$/;

const maskWords =
  'dense, causal, blocks-1 to blocks-9999, gathered, band, ranges, intervals, boxes; all but causal and band also with +mask';

/** @throws ArgumentError unless it is the name of a mask */
export function checkMask(where: string, mask: string): TunedMask {
  if (!names.test(mask)) throw new ArgumentError(where, 'masks', mask, maskWords);
  return mask as TunedMask;
}

/** Keys of a block of the mask's lists; 1 where it has none. */
export function blockOf(mask: string): number {
  return Number(names.exec(mask)?.[1] ?? 1);
}
