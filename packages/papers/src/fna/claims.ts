import { bytesPerElement, type DType, sizeOf, type Tensor } from '@saccade/attention';
import { offers } from '@saccade/attention/custom';
import { type Claim, type ClaimRun, type Measurement, median } from '../kit/claim.ts';
import { interleave } from '../kit/interleave.ts';
import { disposeInputs, disposeOutputs, randomInputs } from '../kit/random-inputs.ts';
import { HEADS, race, SAMPLES } from './improvement.ts';
import { neighborhoodAttention } from './mechanism.ts';
import { options as schema } from './paper.ts';

/** Thresholds of the verdicts, fixed before anything was measured: improvement is t_baseline / t − 1. */
const LEAST_IMPROVEMENT = { '1-D': 5, '2-D': 2 };
const LEAST_WINS_OVER_DENSE = 0.95;
const CROSSOVER = 2;

/** Each headline number of the paper as an experiment. */
export const claims: readonly Claim[] = [
  {
    id: 'fused-over-naive',
    states: 'Fused kernels are faster than naive ones by 1607 % in 1-D and 581 % in 2-D on average (f16).',
    where: 'abstract; the final version has a table with 1759 %, 958 % and, in 3-D, 1135 % (A100)',
    check: 'kernel',
    how: 'f16 on WebGPU (f32 where shaders have no halves), 4 heads of 32 and 64; 1-D 4096 and 16384 tokens, windows 63, 255, 1023; 2-D 64 x 64 and 128 x 128, windows 7, 13, 31; 3-D 16 x 32 x 32, windows 3, 7; dilation 1 and the largest. Our naive kernels beside our fused one, medians. Holds if fused wins on every shape and the mean improvement is at least 500 % in 1-D and 200 % in 2-D; in direction if it wins on average in each. Shapes whose weights do not fit one buffer are left out and counted.',
    measure: (run) => race(run, 'naive'),
    verdict: ({ values, note }) => {
      const because = `mean improvement 1-D ${percent(values.meanImprovement1D)}, 2-D ${percent(values.meanImprovement2D)}, 3-D ${percent(values.meanImprovement3D)} (needed: 500 % and 200 %); fused won on ${values.wins} of ${values.shapes} shapes${note ? `; ${note}` : ''}`;
      const large =
        values.meanImprovement1D >= LEAST_IMPROVEMENT['1-D'] &&
        values.meanImprovement2D >= LEAST_IMPROVEMENT['2-D'];
      if (values.wins === values.shapes && large) return { verdict: 'holds', because };
      return {
        verdict:
          values.meanImprovement1D > 0 && values.meanImprovement2D > 0
            ? 'holds in direction'
            : 'does not hold',
        because,
      };
    },
  },
  {
    id: 'unfused-over-naive',
    states:
      'The unfused matrix-product form is faster than naive kernels by 895 % in 1-D and 272 % in 2-D (f32), less in f16.',
    where: 'abstract',
    check: 'kernel',
    how: 'The same shapes in f32 and, where shaders have halves, in f16. Holds if in 1-D and in 2-D the mean improvement is above 0 in f16 and larger in f32; in direction if it is above 0 in f32.',
    measure: unfusedOverNaive,
    verdict: ({ values, note }) => {
      const [inF32, inF16] = ['F32', 'F16'].map((storage) =>
        ['1D', '2D'].map((dimensions) => values[`meanImprovement${dimensions}${storage}`]),
      );
      const because = `mean improvement 1-D, 2-D, 3-D: ${['F32', 'F16']
        .filter((storage) => `meanImprovement1D${storage}` in values)
        .map(
          (storage) =>
            `${['1D', '2D', '3D'].map((d) => percent(values[`meanImprovement${d}${storage}`])).join(', ')} in ${storage.toLowerCase()}`,
        )
        .join('; ')} (needed: above 0, and more in f32)${note ? `; ${note}` : ''}`;
      if (inF16.every((mean, i) => mean > 0 && inF32[i] > mean)) return { verdict: 'holds', because };
      return { verdict: inF32.every((mean) => mean > 0) ? 'holds in direction' : 'does not hold', because };
    },
  },
  {
    id: 'fused-beats-dense',
    states:
      'Fused neighbourhood attention beats a fused dense kernel on about 100 % of sizes in 1-D, 98.6 % in 2-D and 97.3 % in 3-D.',
    where: 'evaluation',
    check: 'kernel',
    how: 'The same shapes with windows of at most half an axis, f16 storage, against our dense kernel. Holds if fused wins on at least 95 %.',
    measure: (run) => race(run, 'dense'),
    verdict: ({ values }) => ({
      verdict:
        values.wins / values.shapes >= LEAST_WINS_OVER_DENSE
          ? 'holds'
          : values.wins > values.shapes / 2
            ? 'holds in direction'
            : 'does not hold',
      because: `fused won on ${values.wins} of ${values.shapes} shapes (needed: 95 %)`,
    }),
  },
  {
    id: 'constant-memory',
    states: 'The memory beside inputs and outputs is constant instead of growing with tokens x window.',
    where: 'abstract',
    check: 'formula',
    how: 'Bytes that a call allocates beyond its output and log-sum-exp, for windows 7 and 31 on 64 x 64 tokens, 4 heads of 64, once the lists of the plan (which depend on the grid alone, not on batch, heads or window) lie on the device. Holds if there are none; holds in direction if they are no more for the wider window and less than a tenth of the weights that the unfused form stores.',
    measure: memory,
    verdict: ({ values }) => {
      const { extraBytesNarrowWindow: narrow, extraBytesWideWindow: wide, unfusedWeightBytes } = values;
      return {
        verdict:
          narrow === 0 && wide === 0
            ? 'holds'
            : wide <= narrow && wide < 0.1 * unfusedWeightBytes
              ? 'holds in direction'
              : 'does not hold',
        because: `${narrow} bytes with window 7, ${wide} with window 31 (needed: 0), beside ${values.planBytes} bytes of lists that are made once; the unfused form would store ${unfusedWeightBytes}`,
      };
    },
  },
  {
    id: 'intensity',
    states:
      'Operations per byte of global memory tend to window size / bytes per number in the fused form, so small windows are bound by bandwidth.',
    where: 'section 3.5',
    check: 'kernel',
    how: 'By count the fused form does 4 W D operations for 4 D numbers moved (query, key, value, output once each), W / 4 operations a byte in f32. Timed here on 128 x 128 tokens, 4 heads of 64, windows 3 to 31. Holds if the crossover is visible: from the smallest to the widest window the operations a second grow and the bytes a second fall, each at least twofold; in direction if both go that way. Part of the growth are masked scores: a tile wastes fewer of them when the window is wide.',
    measure: intensity,
    verdict: ({ values }) => {
      const { timesMoreOperations: more, timesFewerBytes: fewer } = values;
      return {
        verdict:
          more >= CROSSOVER && fewer >= CROSSOVER
            ? 'holds'
            : more > 1 && fewer > 1
              ? 'holds in direction'
              : 'does not hold',
        because: `the widest window has ${more.toFixed(2)} times the operations a second and moves ${fewer.toFixed(2)} times fewer bytes a second than the smallest (needed: ${CROSSOVER} each)`,
      };
    },
  },
  {
    id: 'models',
    states: 'Models with neighbourhood attention train and infer faster at unchanged ImageNet accuracy.',
    where: 'evaluation',
    check: 'none',
    verdict: 'not checkable here',
    reason: 'Needs pretrained NAT and DiNAT models and ImageNet.',
  },
];

async function unfusedOverNaive(run: ClaimRun): Promise<Measurement> {
  const values: Record<string, number> = {};
  const samples: Record<string, readonly number[]> = {};
  const notes: string[] = [];
  const storages: DType[] = offers(run.device, 'shader-f16') ? ['f32', 'f16'] : ['f32'];
  for (const dtype of storages) {
    const measured = await race(run, 'naive', 'unfused', dtype);
    for (const [name, value] of Object.entries(measured.values)) values[name + dtype.toUpperCase()] = value;
    Object.assign(samples, measured.samples);
    if (measured.note) notes.push(`${dtype}: ${measured.note}`);
  }
  if (storages.length === 1) notes.push('no f16: shaders here have no halves');
  return { values, samples, ...(notes.length > 0 && { note: notes.join('; ') }) };
}

async function memory(run: ClaimRun): Promise<Measurement> {
  const inputs = randomInputs(run.device, [1, HEADS, 4096, 64]);
  const extra: number[] = [];
  let planBytes = 0;
  try {
    for (const window of [7, 31]) {
      const options = schema.parse({ grid: [64, 64], window: [window] });
      const beforePlan = run.device.memory.currentBytes;
      disposeOutputs(await neighborhoodAttention(inputs, options));
      await run.device.finish();
      const before = run.device.memory.currentBytes;
      planBytes = Math.max(planBytes, before - beforePlan);
      run.device.resetPeak();
      const result = await neighborhoodAttention(inputs, options);
      await run.device.finish();
      const outputs = sizeInBytes(result.output) + sizeInBytes(result.logSumExp);
      extra.push(Math.max(0, run.device.memory.peakBytes - before - outputs));
      disposeOutputs(result);
    }
  } finally {
    disposeInputs(inputs);
  }
  return {
    values: {
      extraBytesNarrowWindow: extra[0],
      extraBytesWideWindow: extra[1],
      planBytes,
      unfusedWeightBytes: HEADS * 4096 * 31 * 31 * 4,
    },
  };
}

const sizeInBytes = ({ shape, dtype }: Tensor) => sizeOf(shape) * bytesPerElement(dtype);

/** Bytes and operations a second of the fused form against the window. */
async function intensity(run: ClaimRun): Promise<Measurement> {
  const side = run.quick ? 32 : 128;
  const headDim = 64;
  const windows = run.quick ? [3, 7, 13] : [3, 5, 7, 13, 21, 31];
  const inputs = randomInputs(run.device, [1, HEADS, side * side, headDim]);
  const values: Record<string, number> = {};
  const samples: Record<string, readonly number[]> = {};
  const speeds: { bytes: number; operations: number }[] = [];
  try {
    const works = Object.fromEntries(
      windows.map((window) => {
        const options = schema.parse({ grid: [side, side], window: [window] });
        return [`window${window}`, async () => disposeOutputs(await neighborhoodAttention(inputs, options))];
      }),
    );
    const times = await interleave(run, works, { samples: run.quick ? 3 : SAMPLES });
    for (const window of windows) {
      const seconds = median(times[`window${window}`]) / 1000;
      const numbers = 4 * HEADS * side ** 2 * headDim;
      const speed = { bytes: (4 * numbers) / seconds, operations: (numbers * window ** 2) / seconds };
      speeds.push(speed);
      values[`speedGBWindow${window}`] = speed.bytes / 1e9;
      values[`speedTflopsWindow${window}`] = speed.operations / 1e12;
      samples[`window${window}`] = times[`window${window}`];
    }
  } finally {
    disposeInputs(inputs);
  }
  const [first, last] = [speeds[0], speeds[speeds.length - 1]];
  return {
    values: {
      ...values,
      timesMoreOperations: last.operations / first.operations,
      timesFewerBytes: first.bytes / last.bytes,
    },
    samples,
    note: `${side} x ${side} tokens, ${HEADS} heads of ${headDim}, f32`,
  };
}

const percent = (share: number) => (Number.isFinite(share) ? `${Math.round(100 * share)} %` : 'not measured');
