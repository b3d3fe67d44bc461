import { wgsl } from '../../wgsl/assemble.ts';

/**
 * The digit in which a histogram, summed from its top, reaches what is left; what is left is then taken within it.
 * `found` holds the digits so far and what is left (x, y of a mass). `binAt(bin)` is the caller's. Holds barriers.
 */
export const narrowStage = wgsl`
fn narrow(lane: u32, shift: u32) {
  let known = found[0];
  let left = vec2<u32>(found[1], found[2]);
  let top = BINS - 1u - lane * (BINS / THREADS);
  var mine = vec2<u32>();
  for (var i = 0u; i < BINS / THREADS; i++) { mine = plus(mine, binAt(top - i)); }
  let before = normal(scanLanes(lane, mine));
  if (!reaches(before, left) && reaches(plus(before, mine), left)) {
    var rest = minus(left, before);
    var digit = top;
    while (digit > 0u && !reaches(binAt(digit), rest)) {
      rest = minus(rest, binAt(digit));
      digit--;
    }
    found[0] = known | (digit << shift);
    found[1] = rest.x;
    found[2] = rest.y;
  }
  workgroupBarrier();
}`;

/** Place of a pass over keys, from the top: where its digit lies, and which bits are known before it. */
export const digitStage = wgsl`
fn shiftOf(round: u32) -> u32 { return 32u - min(32u, (round + 1u) * BITS); }
fn knownBits(round: u32) -> u32 { return select(0xffffffffu << ((32u - round * BITS) % 32u), 0u, round == 0u); }
fn digitOf(key: u32, round: u32) -> u32 { return (key >> shiftOf(round)) & ((1u << min(BITS, 32u - round * BITS)) - 1u); }`;

export function digits(bits: 8 | 11) {
  return { BITS: bits, PASSES: Math.ceil(32 / bits), BINS: 2 ** bits };
}
