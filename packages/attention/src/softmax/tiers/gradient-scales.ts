import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { read, uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import { readNumber, type Storage } from './access.ts';

/**
 * Powers of two that bring the factors of the matrix units into the range of halves: up to 2^15, with full precision down
 * to 2^-14. Weights are at most 1 and get 2^WEIGHT_BITS. Score gradients P ∘ (dP − mean) are bounded by valueDim max|dO| max|V| + max|mean|.
 * An f32 gradient of the output gets a scale of its own; halves stay as they are.
 */
export const WEIGHT_BITS = 14;

/** Places in the buffer of scales: of dO; of dS, less that of the weights in it; and what undoes both. */
export const GRADIENT_SCALES = { OUTPUT: 0, SCORE: 1, OUTPUT_UNDONE: 2, SCORE_UNDONE: 3 } as const;

const THREADS = 256;
/** Numbers that a thread looks at. */
const EACH = 16;

/** Numbers that a workgroup of `largestNumber` looks at. */
export const NUMBERS_OF_GROUP = THREADS * EACH;

/** Places in the buffer that scales are made from. */
export const LARGEST = { outputGradient: 0, value: 1, mean: 2 } as const;

/**
 * Bits of the largest |x| of a tensor into `largest[shape.place]`, which is cleared before. Looks at `size` numbers, `spacing`
 * apart from `first` on; they are rows of `width`, of which only the first `rows` of every `stride` count.
 */
export const largestNumber = kept(
  (storage: Storage): Kernel =>
    assemble({
      name: 'gradient-scales-largest',
      bindings: {
        numbers: read(storage === 'f16' ? 'u32' : 'f32'),
        largest: write('atomic<u32>'),
        shape: uniform({
          size: 'u32',
          first: 'u32',
          spacing: 'u32',
          width: 'u32',
          stride: 'u32',
          rows: 'u32',
          place: 'u32',
        }),
      },
      constants: { THREADS },
      memory: { most: { type: 'atomic<u32>', length: 1 } },
      stages: [readNumber('numbers', storage)],
      threads: THREADS,
      memoryLimit: 16,
      main: wgsl`
  var own = 0u;
  for (var n = 0u; n < ${EACH}u; n++) {
    let at = (workgroup * ${EACH}u + n) * THREADS + lane;
    if (at < shape.size && (at / shape.width) % shape.stride < shape.rows) {
      own = max(own, bitcast<u32>(numbersNumber(at * shape.spacing + shape.first)) & 0x7fffffffu);
    }
  }
  atomicMax(&most[0], own);
  workgroupBarrier();
  if (lane == 0u) { atomicMax(&largest[shape.place], atomicLoad(&most[0])); }`,
    }),
);

/** The scales from the largest numbers; each a power of two. `halves`: the gradient of the output is f16 as it is. */
export const gradientScales = assemble({
  name: 'gradient-scales',
  bindings: {
    largest: read('u32'), // LARGEST
    scales: write('f32'), // GRADIENT_SCALES
    shape: uniform({ valueDim: 'u32', halves: 'u32' }),
  },
  constants: { ...LARGEST, ...GRADIENT_SCALES },
  stages: [
    wgsl`
// The least e with |x| < 2^e; -126 for zero.
fn exponentOf(place: u32) -> i32 { return i32(largest[place] >> 23u) - 126; }

fn powerOfTwo(exponent: i32) -> f32 { return bitcast<f32>(u32(exponent + 127) << 23u); }`,
  ],
  threads: 1,
  memoryLimit: 0,
  main: wgsl`
  let ofOutput = select(clamp(15 - exponentOf(outputGradient), -100, 100), 0, shape.halves == 1u);
  let channels = i32(32u - countLeadingZeros(shape.valueDim));
  let ofProducts = exponentOf(outputGradient) + exponentOf(value) + channels;
  let ofScores = clamp(14 - ofOutput - max(ofProducts, exponentOf(mean)), -100, 100);
  scales[OUTPUT] = powerOfTwo(ofOutput);
  scales[OUTPUT_UNDONE] = powerOfTwo(-ofOutput);
  scales[SCORE] = powerOfTwo(ofScores - ${WEIGHT_BITS});
  scales[SCORE_UNDONE] = powerOfTwo(-ofScores);`,
});

/** The gradient of the output as halves, with its scale. */
export const scaledHalves = assemble({
  name: 'gradient-scales-halves',
  bindings: {
    numbers: read('f32'),
    scales: read('f32'),
    halves: write('u32'),
    shape: uniform({ size: 'u32' }),
  },
  constants: GRADIENT_SCALES,
  stages: [],
  threads: THREADS,
  memoryLimit: 0,
  main: wgsl`
  let word = workgroup * ${THREADS}u + lane;
  if (2u * word >= shape.size) { return; }
  var pair = vec2<f32>(numbers[2u * word], 0.0);
  if (2u * word + 1u < shape.size) { pair.y = numbers[2u * word + 1u]; }
  halves[word] = pack2x16float(pair * scales[OUTPUT]);`,
});

/** Halves that a workgroup of `scaledHalves` writes. */
export const HALVES_OF_GROUP = 2 * THREADS;
