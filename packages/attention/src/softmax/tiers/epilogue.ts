import { wgsl } from '../../wgsl/assemble.ts';
import { type Bindings, read } from '../../wgsl/bindings.ts';
import { readNumber, readVector, rowBinding } from './access.ts';
import type { ForwardOptions } from './forward-options.ts';

const stages = {
  scale: {
    none: 'fn scaled(row: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers; }',
    number: 'fn scaled(row: u32, numbers: vec4<f32>) -> vec4<f32> { return shape.epilogueScale * numbers; }',
    f32: 'fn scaled(row: u32, numbers: vec4<f32>) -> vec4<f32> { return rowScaleNumber(row) * numbers; }',
    f16: 'fn scaled(row: u32, numbers: vec4<f32>) -> vec4<f32> { return rowScaleNumber(row) * numbers; }',
  },
  add: {
    none: 'fn added(row: u32, d: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers; }',
    given:
      'fn added(row: u32, d: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers + addendVector(row, d); }',
  },
};

type EpilogueOptions = Pick<ForwardOptions, 'epilogueScale' | 'epilogueAdd' | 'valueDim'>;

/** The tensors that an epilogue reads: rowScale [batch, heads, queryTokens], addend like the output. */
export function epilogueBindings({ epilogueScale, epilogueAdd, valueDim }: EpilogueOptions): Bindings {
  return {
    ...(epilogueScale === 'f32' && { rowScale: read('f32') }),
    ...(epilogueScale === 'f16' && { rowScale: read('u32') }),
    ...(epilogueAdd !== 'none' && { addend: rowBinding(epilogueAdd, valueDim) }),
  };
}

/** `scaled(row, numbers)` and `added(row, d, numbers)`: what a caller wants done to the output before it is stored. */
export function epilogueStages({ epilogueScale, epilogueAdd, valueDim }: EpilogueOptions): string[] {
  return [
    ...(epilogueScale === 'f32' || epilogueScale === 'f16' ? [readNumber('rowScale', epilogueScale)] : []),
    stages.scale[epilogueScale],
    ...(epilogueAdd === 'none' ? [] : [readVector('addend', epilogueAdd, valueDim)]),
    stages.add[epilogueAdd === 'none' ? 'none' : 'given'],
  ];
}

/** `sumBits(base, sum, empty)`: bits of ln2 m + ln l. `storeColumn(row, d, numbers)`: four finished channels of a row. */
export const finishedRows = wgsl`
// Drivers disagree on the logarithm of NaN.
fn sumBits(base: f32, sum: f32, empty: bool) -> u32 {
  if ((bitcast<u32>(sum) & 0x7fffffffu) > 0x7f800000u) { return NOT_A_NUMBER; }
  return select(bitcast<u32>((base + log2(sum)) * LN_2), MINUS_INFINITY, empty);
}

fn storeColumn(row: u32, d: u32, numbers: vec4<f32>) {
  if (d < VALUE_VECTORS) { outputStore(row, d, added(row, d, scaled(row, numbers))); }
}`;
