import { attend } from '@saccade/attention';
import type { Claim, ClaimRun, Measurement, Verdict } from '../kit/claim.ts';
import { median } from '../kit/claim.ts';
import { fillingBatch } from '../kit/filling-batch.ts';
import { interleave } from '../kit/interleave.ts';
import { disposeInputs, disposeOutputs, randomInputs } from '../kit/random-inputs.ts';
import { blockMask } from './block-mask.ts';
import { radialAttention } from './mechanism.ts';
import type { Options } from './paper.ts';
import { density, equalReach, type HeadDecay, headErrors, maskWidths } from './statistics.ts';
import { countEntries } from './token-mask.ts';
import { hunyuan, modelTimesFewerOperations } from './video-models.ts';

/** Ratios that decide, as fixed before anything was measured. */
const FLATNESS = 2;
const SHARE_OF_BOUND = 0.75;
const TIMES_LOWER_ERROR = 5;

/** Each headline number of the paper as an experiment. The rule of a verdict is fixed before its number is known. */
export const claims: readonly Claim[] = [
  {
    id: 'n-log-n',
    states: 'The number of computed pairs grows as n log n with the length of the video.',
    where: 'abstract',
    check: 'formula',
    how: `Pairs of the token mask with sink, 16 tokens a frame, 8 to 512 frames: pairs / (n log₂ n) stays within a factor of ${FLATNESS}, and no count exceeds 4 s² f log₂ f. Holds if both are true.`,
    measure: growth,
    verdict: ({ values }) => ({
      verdict: values.spread <= FLATNESS && values.mostOfUpperBound <= 1 ? 'holds' : 'does not hold',
      because: `pairs / (n log₂ n) varies by a factor of ${round(values.spread)} (allowed: ${FLATNESS}); at most ${round(values.mostOfUpperBound)} of 4 s² f log₂ f (allowed: 1)`,
    }),
  },
  {
    id: 'faster-than-dense',
    states:
      'Up to 1.9 times faster than dense attention at the usual length and 3.7 times at four times the length; tuning costs 4.4 times less.',
    where: 'abstract',
    check: 'kernel',
    how: `Attention alone: block mask with sink and decay 1, f16 storage, 8 heads of 64, on a GPU as large a batch as 128 MiB of f32 hold, 256 tokens a frame, blocks of 64, 16, 32 and 64 frames, against our dense kernel. Holds if each length is at least ${SHARE_OF_BOUND} times as much faster as it keeps fewer blocks; holds in direction if each is faster than dense. How much a whole model saves is computed, not measured: HunyuanVideo, 38 of 50 steps sparse. Tuning and whole videos are not checkable here.`,
    measure: besideDense,
    verdict: ({ values, note }): Verdict => {
      const because = `at least ${round(values.leastShareOfBound)} of the ratio of blocks (needed: ${SHARE_OF_BOUND}); ${note}`;
      if (values.leastShareOfBound >= SHARE_OF_BOUND) return { verdict: 'holds', because };
      return {
        verdict: values.leastTimesFasterThanDense > 1 ? 'holds in direction' : 'does not hold',
        because,
      };
    },
  },
  {
    id: 'both-kinds-of-heads',
    states:
      'One mask serves heads that look around and heads that look along time, with a lower error than window masks.',
    where: 'experiments: mean error 3.9e-3 against 4.4e-3 and 1.5e-2 on Wan',
    check: 'quality',
    how: `No video model, but synthetic heads: 32 frames of 64 tokens, weights softmax(−a |di| − b |dk| + noise / 2), spatial (a, b) = (1, 0.1), temporal (0.05, 1), mixed (0.3, 0.3). Error: mean over queries of the L1 distance between dense and masked rows. Windows in time and in position with the first frame, at no less than the same number of pairs. Holds if the worst of the three heads is at least ${TIMES_LOWER_ERROR} times lower than with either window.`,
    measure: syntheticHeads,
    verdict: ({ values }) => ({
      verdict: values.timesLowerWorstError >= TIMES_LOWER_ERROR ? 'holds' : 'does not hold',
      because: `worst head ${values.radialWorst.toFixed(4)}, ${round(values.timesLowerWorstError)} times lower than with the better window (needed: ${TIMES_LOWER_ERROR})`,
    }),
  },
  {
    id: 'energy-decay',
    states: 'Attention falls exponentially with distance in time and in space (R² above 0.985).',
    where: 'observation of the paper',
    check: 'none',
    verdict: 'not checkable here',
    reason: 'Needs the attention maps of the large video models. The lab fits both decays to a map.',
  },
  {
    id: 'video-quality',
    states: 'PSNR, VBench scores and vision reward stay as with dense attention.',
    where: 'experiments',
    check: 'none',
    verdict: 'not checkable here',
    reason: 'Needs video models of 13 and 14 billion parameters and days of generation.',
  },
];

const round = (number: number) => Math.round(number * 100) / 100;

async function growth(): Promise<Measurement> {
  const perFrame = 16;
  const values: Record<string, number> = {};
  const ratios: number[] = [];
  let mostOfUpperBound = 0;
  for (let frames = 8; frames <= 512; frames *= 2) {
    const tokens = frames * perFrame;
    const entries = countEntries({ frames, perFrame, sink: true });
    const ratio = entries / (tokens * Math.log2(tokens));
    ratios.push(ratio);
    values[`ratio${frames}`] = ratio;
    mostOfUpperBound = Math.max(mostOfUpperBound, entries / (4 * perFrame ** 2 * frames * Math.log2(frames)));
  }
  return { values: { ...values, spread: Math.max(...ratios) / Math.min(...ratios), mostOfUpperBound } };
}

async function besideDense(run: ClaimRun): Promise<Measurement> {
  const perFrame = 256;
  const heads = run.quick ? 2 : 8;
  const frameCounts = run.quick ? [4, 8] : [16, 32, 64];
  const values: Record<string, number> = {};
  const samples: Record<string, readonly number[]> = {};
  const notes: string[] = [];
  let leastShare = Number.POSITIVE_INFINITY;
  let leastTimes = Number.POSITIVE_INFINITY;
  for (const [index, frames] of frameCounts.entries()) {
    run.progress(index / frameCounts.length, `${frames} frames`);
    const options: Options = {
      grid: [frames, perFrame],
      mask: 'blocks',
      blockSize: 64,
      decay: 1,
      sink: true,
      textTokens: 0,
    };
    const mask = blockMask({ frames, perFrame, blockSize: 64, decay: 1, sink: true });
    const batch = fillingBatch(run, heads * frames * perFrame * 64);
    const inputs = randomInputs(run.device, [batch, heads, frames * perFrame, 64], { dtype: 'f16' });
    const { query, key, value } = inputs;
    const times = await interleave(
      run,
      {
        radial: async () => disposeOutputs(await radialAttention(inputs, options, { signal: run.signal })),
        dense: async () => disposeOutputs(await attend(query, key, value, { signal: run.signal })),
      },
      { samples: run.quick ? 3 : 10 },
    ).finally(() => disposeInputs(inputs));
    const bound = mask.side ** 2 / mask.keptBlocks;
    const timesFaster = median(times.dense) / median(times.radial);
    values[`timeMs${frames}`] = median(times.radial);
    values[`denseTimeMs${frames}`] = median(times.dense);
    values[`timesFasterThanDense${frames}`] = timesFaster;
    values[`bound${frames}`] = bound;
    values[`shareOfBound${frames}`] = timesFaster / bound;
    samples[`radial${frames}`] = times.radial;
    samples[`dense${frames}`] = times.dense;
    leastShare = Math.min(leastShare, timesFaster / bound);
    leastTimes = Math.min(leastTimes, timesFaster);
    notes.push(`${frames}: ${round(timesFaster)} times of ${round(bound)}`);
  }
  const modelTimes = modelTimesFewerOperations(hunyuan);
  return {
    values: {
      ...values,
      leastShareOfBound: leastShare,
      leastTimesFasterThanDense: leastTimes,
      modelTimesFewerOperations: modelTimes,
    },
    samples,
    note: `${heads} heads of 64, f16, frames of ${perFrame} tokens ${notes.join(', ')}; ${hunyuan.name}: ${round(modelTimes)} times fewer operations in the whole model`,
  };
}

async function syntheticHeads(run: ClaimRun): Promise<Measurement> {
  const geometry = { frames: 32, perFrame: 64 };
  const heads: Readonly<Record<string, HeadDecay>> = {
    Spatial: { time: 1, space: 0.1 },
    Temporal: { time: 0.05, space: 1 },
    Mixed: { time: 0.3, space: 0.3 },
  };
  const reach = equalReach(geometry);
  const masks = ['radial', 'frames', 'diagonal'] as const;
  const widths = masks.map((mask) => maskWidths(mask, geometry, reach));
  const values: Record<string, number> = {};
  for (const mask of masks) values[`${mask}Density`] = density(mask, geometry, reach);
  const worst = masks.map(() => 0);
  const names = Object.keys(heads);
  for (const [index, name] of names.entries()) {
    run.signal.throwIfAborted();
    run.progress(index / names.length, `${name.toLowerCase()} head`);
    const errors = headErrors(heads[name], geometry, widths, uniform(index + 1), run.quick ? 16 : 1);
    masks.forEach((mask, m) => {
      values[`${mask}${name}`] = errors[m];
      worst[m] = Math.max(worst[m], errors[m]);
    });
  }
  masks.forEach((mask, m) => {
    values[`${mask}Worst`] = worst[m];
  });
  return { values: { ...values, timesLowerWorstError: Math.min(...worst.slice(1)) / worst[0] } };
}

/** Seeded uniform numbers in [0, 1) (mulberry32). */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
