import { type Device, DeviceError, type DType, type Tensor } from '@saccade/attention';
import { offers } from '@saccade/attention/custom';
import { type ClaimRun, type Measurement, median } from '../kit/claim.ts';
import { relativeError } from '../kit/compare.ts';
import { interleave } from '../kit/interleave.ts';
import type { Inputs } from '../kit/paper.ts';
import { disposeInputs, randomInputs } from '../kit/random-inputs.ts';
import type { BaselineName } from './baselines.ts';
import { type Options, options as schema } from './paper.ts';
import { lanesOf } from './race.ts';

export const HEADS = 4;
/** Each fills 20 ms with as many calls as that takes. */
export const SAMPLES = 7;
/** Halves lose this much where a thousand neighbours are added up. */
const AGREEMENT = 1e-2;

/** A shape of the race. Dilated shapes take the largest dilation that the grid allows. */
interface Shape {
  name: string;
  options: Options;
  headDim: number;
}

function shapes(quick: boolean): Shape[] {
  const all: Shape[] = [];
  const grids: [number[], number[]][] = quick
    ? [
        [[1024], [63]],
        [[32, 32], [7]],
        [[8, 8, 8], [3]],
      ]
    : [
        [[4096], [63, 255, 1023]],
        [[16384], [63, 255, 1023]],
        [
          [64, 64],
          [7, 13, 31],
        ],
        [
          [128, 128],
          [7, 13, 31],
        ],
        [
          [16, 32, 32],
          [3, 7],
        ],
      ];
  for (const [grid, windows] of grids) {
    for (const window of windows) {
      for (const headDim of quick ? [32] : [32, 64]) {
        for (const dilated of [false, true]) {
          const dilation = grid.map((length) => (dilated ? Math.floor(length / window) : 1));
          if (dilated && dilation.every((d) => d === 1)) continue;
          all.push({
            name: `${grid.join('x')} w${window}${dilated ? ` d${dilation.join('x')}` : ''} D${headDim}`,
            options: schema.parse({ grid, window: grid.map(() => window), dilation }),
            headDim,
          });
        }
      }
    }
  }
  return all;
}

/**
 * Improvement of `fast` over `slow`, t_slow / t_fast - 1, shape by shape, taken in turns after both have shown the same
 * output. Shapes whose weights do not fit one buffer are left out and counted.
 */
export async function race(
  run: ClaimRun,
  slow: BaselineName | 'dense',
  fast: 'unfused' | 'fused' = 'fused',
  dtype: DType = storageFor(run, slow),
): Promise<Measurement> {
  if (run.device.kind !== 'webgpu' && (slow !== 'dense' || fast !== 'fused')) {
    throw new DeviceError('the baselines are WGSL kernels', {
      needs: 'the webgpu device',
      has: run.device.kind,
    });
  }
  const improvements: Record<'1D' | '2D' | '3D', number[]> = { '1D': [], '2D': [], '3D': [] };
  const samples: Record<string, readonly number[]> = {};
  let wins = 0;
  let leftOut = 0;
  const chosen = shapes(run.quick).filter(
    ({ options }) =>
      slow !== 'dense' || (options.grid ?? []).every((length, a) => options.window[a] <= length / 2),
  );
  const made = new InputsOfSizes(run.device);
  try {
    for (const [index, { name, options, headDim }] of chosen.entries()) {
      run.progress(index / chosen.length, name);
      const grid = options.grid ?? [];
      const tokens = grid.reduce((size, length) => size * length, 1);
      // a browser or driver that binds at most 128 MiB is asked for no more
      const inputs = made.of(tokens, headDim, dtype);
      const works = lanesOf(inputs, options);
      const timed = (name: keyof typeof works) => async () => (await works[name]()).output.dispose();
      try {
        if (slow !== 'dense') await expectAgreement(works[slow], works[fast], name);
        const times = await interleave(
          run,
          { slow: timed(slow), fast: timed(fast) },
          { samples: run.quick ? 3 : SAMPLES, warmUp: 1 },
        );
        const improvement = median(times.slow) / median(times.fast) - 1;
        samples[`${name} ${slow} ${dtype}`] = times.slow;
        samples[`${name} ${fast} ${dtype}`] = times.fast;
        improvements[`${grid.length as 1 | 2 | 3}D`].push(improvement);
        if (improvement > 0) wins++;
      } catch (error) {
        run.signal.throwIfAborted();
        if (!String(error).includes('bytes')) throw error;
        leftOut++;
      }
    }
  } finally {
    made.dispose();
  }
  const mean = (values: readonly number[]) =>
    values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    values: {
      meanImprovement1D: mean(improvements['1D']),
      meanImprovement2D: mean(improvements['2D']),
      meanImprovement3D: mean(improvements['3D']),
      wins,
      shapes: chosen.length - leftOut,
    },
    samples,
    ...(leftOut > 0 && { note: `${leftOut} shapes left out: their weights do not fit one buffer` }),
  };
}

/** Halves wherever they can be stored: on WebGPU baselines need shaders that compute with them. */
function storageFor({ device }: ClaimRun, slow: BaselineName | 'dense'): DType {
  if (device.kind === 'reference') return 'f64';
  return slow === 'dense' || offers(device, 'shader-f16') ? 'f16' : 'f32';
}

/** What is timed must be the same computation. @throws Error with the difference if the outputs differ by more than halves explain */
async function expectAgreement(
  one: () => Promise<{ output: Tensor }>,
  other: () => Promise<{ output: Tensor }>,
  name: string,
): Promise<void> {
  const outputs = [];
  for (const work of [one, other]) {
    const { output } = await work();
    outputs.push(await output.read());
    output.dispose();
  }
  const error = relativeError(outputs[0], outputs[1]);
  if (!(error < AGREEMENT)) throw new Error(`${name}: the two forms differ by ${error}`);
}

/** Random inputs by size, made once each: many shapes share a size, and a GPU that waits for the next clocks down. */
class InputsOfSizes {
  readonly #device: Device;
  readonly #made = new Map<string, Inputs>();

  constructor(device: Device) {
    this.#device = device;
  }

  of(tokens: number, headDim: number, dtype: DType): Inputs {
    const size = `${tokens} x ${headDim} ${dtype}`;
    let inputs = this.#made.get(size);
    if (!inputs) {
      inputs = randomInputs(this.#device, [1, HEADS, tokens, headDim], { dtype });
      this.#made.set(size, inputs);
    }
    return inputs;
  }

  dispose(): void {
    for (const inputs of this.#made.values()) disposeInputs(inputs);
  }
}
