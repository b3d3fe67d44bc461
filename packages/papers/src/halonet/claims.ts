import { attend, type Device, type Tensor } from '@saccade/attention';
import { type Claim, type ClaimRun, median } from '../kit/claim.ts';
import { fillingBatch } from '../kit/filling-batch.ts';
import type { Inputs } from '../kit/paper.ts';
import { disposeInputs, randomInputs } from '../kit/random-inputs.ts';
import { haloFlops, unfoldedBytes } from './cost.ts';
import { downsampled, haloAttention } from './mechanism.ts';
import type { Options } from './paper.ts';
import { unfold, unfoldedPlan } from './unfold.ts';

const HEADS = 8;
const HEAD_DIM = 32;

const optionsFor = (side: number, more: Partial<Options> = {}): Options => ({
  grid: [side, side],
  blockSize: 8,
  halo: 3,
  stride: 1,
  averageDown: false,
  border: 'zero',
  pad: false,
  scalePosition: false,
  ...more,
});

const free = (tensors: readonly (Tensor | undefined)[]) => {
  for (const tensor of tensors) tensor?.dispose();
};

async function fused(inputs: Inputs, options: Options): Promise<void> {
  const { output, logSumExp, held = [] } = await haloAttention(inputs, options);
  free([output, logSumExp, ...held]);
}

async function unfolded({ query, key, value }: Inputs, options: Options): Promise<void> {
  const made: Tensor[] = [];
  try {
    made.push(await unfold(key, options), await unfold(value, options));
    const plan = unfoldedPlan(query.shape[2], options);
    const { output, logSumExp } = await attend(query, made[0], made[1], { plan });
    made.push(output, logSumExp);
  } finally {
    free(made);
  }
}

async function dense({ query, key, value }: Inputs): Promise<void> {
  const { output, logSumExp } = await attend(query, key, value);
  free([output, logSumExp]);
}

/** Bytes that `work` needs at its worst, its outputs counted. */
async function peakOf(device: Device, work: () => Promise<void>): Promise<number> {
  await device.finish();
  const before = device.memory.currentBytes;
  device.resetPeak();
  await work();
  await device.finish();
  return device.memory.peakBytes - before;
}

const sidesOf = (run: ClaimRun) => (run.quick ? [16, 32] : [64, 128]);

export const claims: readonly Claim[] = [
  {
    id: 'wider-halos',
    states: 'Larger windows and halos make the model more accurate at nearly no parameters.',
    where: 'ablations of block and halo size',
    check: 'none',
    verdict: 'not yet measured',
    reason:
      'Needs a small model trained per halo (24 x 24 images, sign of a 5 x 5 sum); it comes with the training package.',
  },
  {
    id: 'no-explicit-windows',
    states: 'Blocked local attention is faster and smaller in memory than copying out the windows.',
    where: 'abstract',
    check: 'kernel',
    how: '64 x 64 and 128 x 128 pixels (quick: 16 and 32), 8 heads of 32, b = 8, h = 3, f32: fused, windows copied out first, and dense. Holds if the fused run allocates no copies (its peak is below a tenth of the copies’ bytes beyond its outputs) and at the larger size is at least 1.5 times faster than the copying run and 5 times faster than dense; in direction if it allocates none and is faster than both.',
    async measure(run) {
      const values: Record<string, number> = {};
      const samples: Record<string, readonly number[]> = {};
      const sides = sidesOf(run);
      for (const [n, side] of sides.entries()) {
        run.progress(n / sides.length, `${side} x ${side}`);
        run.signal.throwIfAborted();
        const options = optionsFor(side);
        const inputs = randomInputs(run.device, [1, HEADS, side * side, HEAD_DIM], { dtype: 'f32' });
        try {
          const outputBytes = HEADS * side * side * (HEAD_DIM + 1) * 4;
          const shape = {
            batch: 1,
            heads: HEADS,
            rows: side,
            columns: side,
            keyDim: HEAD_DIM,
            valueDim: HEAD_DIM,
          };
          const copyBytes = unfoldedBytes(shape, options, 4);
          const extra = (await peakOf(run.device, () => fused(inputs, options))) - outputBytes;
          values[`fusedExtraBytes${side}`] = extra;
          values[`copyBytes${side}`] = copyBytes;
          values[`copiesOverKeysAndValues${side}`] = copyBytes / (2 * HEADS * side * side * HEAD_DIM * 4);
          for (const [name, work] of [
            ['fused', () => fused(inputs, options)],
            ['unfold', () => unfolded(inputs, options)],
            ['dense', () => dense(inputs)],
          ] as const) {
            run.signal.throwIfAborted();
            samples[`${name}${side}`] = await run.time(work, { samples: run.quick ? 3 : 15 });
            values[`${name}Ms${side}`] = median(samples[`${name}${side}`]);
          }
          values[`timesFasterThanUnfold${side}`] = values[`unfoldMs${side}`] / values[`fusedMs${side}`];
          values[`timesFasterThanDense${side}`] = values[`denseMs${side}`] / values[`fusedMs${side}`];
        } finally {
          disposeInputs(inputs);
        }
      }
      values.side = sides[sides.length - 1];
      return { values, samples };
    },
    verdict({ values }) {
      const { side } = values;
      const overUnfold = values[`timesFasterThanUnfold${side}`];
      const overDense = values[`timesFasterThanDense${side}`];
      const noCopies = values[`fusedExtraBytes${side}`] < values[`copyBytes${side}`] / 10;
      const because = `At ${side} x ${side} the fused form is ${overUnfold.toFixed(2)} times faster than copied windows (1.5 asked) and ${overDense.toFixed(2)} times faster than dense (5 asked), and needs ${Math.round(values[`fusedExtraBytes${side}`] / 1024)} KiB where the copies take ${Math.round(values[`copyBytes${side}`] / 1024)}.`;
      if (noCopies && overUnfold >= 1.5 && overDense >= 5) return { verdict: 'holds', because };
      if (noCopies && overUnfold > 1 && overDense > 1) return { verdict: 'holds in direction', because };
      return { verdict: 'does not hold', because };
    },
  },
  {
    id: 'shared-beats-centred',
    states:
      'Windows shared by a block are at least as accurate as the same windows masked down to centred ones.',
    where: 'ablation of the masked variant',
    check: 'none',
    verdict: 'not yet measured',
    reason:
      'Needs two small models trained on a 7 x 7 sum (b = 4, h = 2); it comes with the training package. Both variants run: option centredRadius.',
  },
  {
    id: 'downsampling',
    states: 'Attention with strided queries replaces attention and pooling at a quarter of the cost.',
    where: 'attention downsampling',
    check: 'kernel',
    how: '64 x 64 and 128 x 128 pixels (quick: 16 and 32), 8 heads of 32, b = 8, h = 3, f32, on a GPU as large a batch as 128 MiB hold, so that a call lasts longer than its queueing: strided queries gathered to the smaller image, against attention at every pixel and means of 2 x 2. Holds if the operations counted from the plan are exactly a quarter and the time at the larger size at most half; in direction if exactly a quarter and faster. Accuracy is not part of it: no trained model here.',
    async measure(run) {
      const values: Record<string, number> = {};
      const samples: Record<string, readonly number[]> = {};
      const sides = sidesOf(run);
      const { attentionCost } = await import('@saccade/attention');
      for (const [n, side] of sides.entries()) {
        run.progress(n / sides.length, `${side} x ${side}`);
        const batch = fillingBatch(run, HEADS * side * side * HEAD_DIM);
        const inputs = randomInputs(run.device, [batch, HEADS, side * side, HEAD_DIM], { dtype: 'f32' });
        try {
          for (const [name, more] of [
            ['strided', { stride: 2 }],
            ['pooled', { stride: 2, averageDown: true }],
          ] as const) {
            run.signal.throwIfAborted();
            const options = optionsFor(side, more);
            const first = await haloAttention(inputs, options);
            const { query, key, value } = inputs;
            values[`${name}Flops${side}`] = (await attentionCost(query, key, value, first.attended)).flops;
            free([first.output, first.logSumExp, ...(first.held ?? [])]);
            samples[`${name}${side}`] = await run.time(
              async () => {
                const { output, logSumExp } = await haloAttention(inputs, options);
                const small = await downsampled(output, options);
                free([output, logSumExp, small]);
              },
              { samples: run.quick ? 3 : 15 },
            );
            values[`${name}Ms${side}`] = median(samples[`${name}${side}`]);
          }
          const shape = {
            batch,
            heads: HEADS,
            rows: side,
            columns: side,
            keyDim: HEAD_DIM,
            valueDim: HEAD_DIM,
          };
          values[`formulaFlops${side}`] = haloFlops(shape, optionsFor(side));
          values[`timeRatio${side}`] = values[`stridedMs${side}`] / values[`pooledMs${side}`];
        } finally {
          disposeInputs(inputs);
        }
      }
      values.side = sides[sides.length - 1];
      return { values, samples };
    },
    verdict({ values }) {
      const { side } = values;
      const quarter = 4 * values[`stridedFlops${side}`] === values[`formulaFlops${side}`];
      const ratio = values[`timeRatio${side}`];
      const because = `At ${side} x ${side} strided queries take ${quarter ? 'exactly a quarter' : 'not a quarter'} of the operations and ${ratio.toFixed(2)} of the time of attention and pooling (at most 0.5 asked).`;
      if (quarter && ratio <= 0.5) return { verdict: 'holds', because };
      if (quarter && ratio < 1) return { verdict: 'holds in direction', because };
      return { verdict: 'does not hold', because };
    },
  },
  {
    id: 'imagenet',
    states:
      'H7 reaches 84.9 % top-1 on ImageNet with 67.4 million parameters, the family is more accurate per parameter, and detection gains.',
    where: 'tables of the model family, detection',
    check: 'none',
    verdict: 'not checkable here',
    reason: 'Training on ImageNet and COCO is out of reach here; the README has the reported table.',
  },
];
