import { type AttendOptions, attend, attendBackward, type DType } from '@saccade/attention';
import { type Claim, median } from '../kit/claim.ts';
import { fillingBatch } from '../kit/filling-batch.ts';
import { interleave } from '../kit/interleave.ts';
import type { Inputs, Outputs } from '../kit/paper.ts';
import { disposeInputs, disposeOutputs, randomInputs } from '../kit/random-inputs.ts';
import { bestRegions, modelMultiplyAdds, models } from './cost.ts';
import { biLevelRoutingAttention } from './mechanism.ts';
import type { Options } from './paper.ts';

const HEADS = 2;
const HEAD_DIM = 32;
const TOPK = 4;

const optionsFor = (side: number, regions: number): Options => ({
  grid: [side, side],
  regions,
  topk: TOPK,
  routing: 'content',
  seed: 0,
  checkFinite: false,
  causal: false,
});

/** The whole channel width, as the paper has it. */
const scale = (HEADS * HEAD_DIM) ** -0.5;

async function routed(inputs: Inputs, options: Options): Promise<void> {
  const { output, logSumExp, held = [] } = await biLevelRoutingAttention(inputs, options);
  for (const tensor of [output, logSumExp, ...held]) tensor.dispose();
}

async function dense({ query, key, value }: Inputs): Promise<void> {
  disposeOutputs(await attend(query, key, value, { scale }));
}

/** Forward and backward of a mechanism; the routing is by indices and has no gradient. */
async function bothPasses(inputs: Inputs, forward: (inputs: Inputs) => Promise<Outputs>): Promise<void> {
  const { query, key, value } = inputs;
  const { output, logSumExp, attended, held = [] } = await forward(inputs);
  // the output stands for the gradient that comes from the layers above: its size is all that time depends on
  const gradients = await attendBackward(query, key, value, { output, logSumExp }, output, attended);
  const made = [gradients.query, gradients.key, gradients.value, output, logSumExp, ...held];
  for (const tensor of made) tensor.dispose();
}

const routedForward = (options: Options) => (inputs: Inputs) => biLevelRoutingAttention(inputs, options);
async function denseForward({ query, key, value }: Inputs): Promise<Outputs> {
  const attended: AttendOptions = { scale };
  return { ...(await attend(query, key, value, attended)), attended };
}

const nearest = (candidates: readonly number[], target: number) =>
  candidates.reduce((best, each) => (Math.abs(each - target) < Math.abs(best - target) ? each : best));
const divisors = (side: number) =>
  Array.from({ length: Math.min(side, 64) }, (_, i) => i + 1).filter((n) => side % n === 0);

/** Slope of log(time) over log(tokens), least squares. */
function slope(tokens: readonly number[], times: readonly number[]): number {
  const x = tokens.map(Math.log);
  const y = times.map(Math.log);
  const mean = (list: readonly number[]) => list.reduce((sum, each) => sum + each, 0) / list.length;
  const [mx, my] = [mean(x), mean(y)];
  const above = x.reduce((sum, each, i) => sum + (each - mx) * (y[i] - my), 0);
  return above / x.reduce((sum, each) => sum + (each - mx) ** 2, 0);
}

export const claims: readonly Claim[] = [
  {
    id: 'cheaper-than-dense',
    states: 'Routing saves computation and memory against dense attention with work that suits a GPU.',
    where: 'abstract',
    check: 'kernel',
    how: 'On a GPU as large a batch as 128 MiB of f32 hold, so that a call lasts longer than its queueing, elsewhere one; 2 heads of 32, images of 32² to 128² tokens (quick: 16² and 32²), k = 4, S of 4, 8, 16 nearest to the cheapest, and S = 8 at the largest; f32 and f16 storage against our dense attention in the same storage. Holds if at the largest with S = 8, in both storages, the forward pass with its routing is at least 5 times faster and needs less than 10 % of query, key, value and output beyond them; in direction if faster within that memory.',
    async measure(run) {
      const values: Record<string, number> = {};
      const samples: Record<string, readonly number[]> = {};
      const sides = run.quick ? [16, 32] : [32, 64, 96, 128];
      const largest = sides[sides.length - 1];
      const dtypes: DType[] = run.device.kind === 'reference' ? ['f64'] : ['f32', 'f16'];
      for (const [n, side] of sides.entries()) {
        for (const dtype of dtypes) {
          run.progress(n / sides.length, `${side} x ${side}, ${dtype}`);
          const batch = fillingBatch(run, HEADS * side * side * HEAD_DIM);
          const inputs = randomInputs(run.device, [batch, HEADS, side * side, HEAD_DIM], { dtype });
          const label = `${dtype}At${side}`;
          try {
            run.signal.throwIfAborted();
            const regions = side === largest ? 8 : nearest([4, 8, 16], bestRegions(side * side, TOPK));
            const options = optionsFor(side, regions);
            values[`regions${side}`] = regions;
            values[`batch${side}`] = batch;
            await run.device.finish();
            const before = run.device.memory.currentBytes;
            run.device.resetPeak();
            await routed(inputs, options);
            await run.device.finish();
            const bytes = dtype === 'f64' ? 8 : dtype === 'f16' ? 2 : 4;
            const tensorBytes = batch * HEADS * side * side * HEAD_DIM * bytes;
            // output and log-sum-exp are results, not extra
            const results = tensorBytes + batch * HEADS * side * side * 4;
            values[`extraShare_${label}`] =
              Math.max(0, run.device.memory.peakBytes - before - results) / (4 * tensorBytes);
            const timing = { samples: run.quick ? 3 : 15 };
            samples[`routed_${label}`] = await run.time(() => routed(inputs, options), timing);
            samples[`dense_${label}`] = await run.time(() => dense(inputs), timing);
            values[`routedMs_${label}`] = median(samples[`routed_${label}`]);
            values[`denseMs_${label}`] = median(samples[`dense_${label}`]);
            values[`timesFaster_${label}`] = values[`denseMs_${label}`] / values[`routedMs_${label}`];
          } finally {
            disposeInputs(inputs);
          }
        }
      }
      values.side = largest;
      return { values, samples };
    },
    verdict({ values }) {
      const { side } = values;
      const labels = ['f64', 'f32', 'f16'].filter((dtype) => `timesFaster_${dtype}At${side}` in values);
      const faster = labels.map((dtype) => values[`timesFaster_${dtype}At${side}`]);
      const extra = labels.map((dtype) => values[`extraShare_${dtype}At${side}`]);
      const because = `At ${side} x ${side}, S = 8, k = 4 the forward pass is ${labels
        .map((dtype, i) => `${faster[i].toFixed(2)} times faster in ${dtype}`)
        .join(
          ', ',
        )} (5 asked) and needs ${(Math.max(...extra) * 100).toFixed(1)} % more memory (less than 10 asked).`;
      const small = extra.every((share) => share < 0.1);
      if (small && faster.every((times) => times >= 5)) return { verdict: 'holds', because };
      if (small && faster.every((times) => times > 1)) return { verdict: 'holds in direction', because };
      return { verdict: 'does not hold', because };
    },
  },
  {
    id: 'cheaper-in-training',
    states: 'The saving remains in training: forward and backward together.',
    where: 'abstract',
    check: 'kernel',
    how: 'The same batch, 2 heads of 32, f16 storage, an image of 128² (quick: 32²), S = 8, k = 4: forward with its routing, and the gradients of query, key and value, against both passes of our dense attention, taken in turns. The routing itself is by indices and has no gradient. Holds if both together are at least 4 times faster; in direction if faster.',
    async measure(run) {
      const side = run.quick ? 32 : 128;
      const dtype: DType = run.device.kind === 'reference' ? 'f64' : 'f16';
      const batch = fillingBatch(run, HEADS * side * side * HEAD_DIM);
      const inputs = randomInputs(run.device, [batch, HEADS, side * side, HEAD_DIM], { dtype });
      try {
        run.progress(0, `${side} x ${side}, both passes`);
        const times = await interleave(
          run,
          {
            routed: () => bothPasses(inputs, routedForward(optionsFor(side, 8))),
            dense: () => bothPasses(inputs, denseForward),
          },
          { samples: run.quick ? 3 : 15 },
        );
        const [routedMs, denseMs] = [median(times.routed), median(times.dense)];
        return {
          values: { side, batch, routedMs, denseMs, timesFaster: denseMs / routedMs },
          samples: { routed: times.routed, dense: times.dense },
        };
      } finally {
        disposeInputs(inputs);
      }
    },
    verdict({ values: { side, timesFaster } }) {
      const because = `At ${side} x ${side}, S = 8, k = 4 both passes together are ${timesFaster.toFixed(2)} times faster (4 asked).`;
      if (timesFaster >= 4) return { verdict: 'holds', because };
      return { verdict: timesFaster > 1 ? 'holds in direction' : 'does not hold', because };
    },
  },
  {
    id: 'four-thirds',
    states: 'With the best number of regions the cost grows as the number of tokens to the power 4/3.',
    where: 'analysis of the complexity',
    check: 'kernel',
    how: 'The same batch at every size, the largest that all hold, 2 heads of 32, k = 4, f32, images of 64² to 192² tokens (quick: 16² to 48²), S the divisor of the side nearest to the cheapest: slope of log time over log tokens. Holds if at most 1.5; in direction if below the slope of dense attention by at least 0.2.',
    async measure(run) {
      const values: Record<string, number> = {};
      const samples: Record<string, readonly number[]> = {};
      const sides = run.quick ? [16, 32, 48] : [64, 96, 128, 160, 192];
      const batch = fillingBatch(run, HEADS * sides[sides.length - 1] ** 2 * HEAD_DIM);
      for (const [n, side] of sides.entries()) {
        run.progress(n / sides.length, `${side} x ${side}`);
        run.signal.throwIfAborted();
        const inputs = randomInputs(run.device, [batch, HEADS, side * side, HEAD_DIM], { dtype: 'f32' });
        try {
          const regions = nearest(divisors(side), bestRegions(side * side, TOPK));
          const options = optionsFor(side, regions);
          const count = { samples: run.quick ? 3 : 15 };
          values[`regions${side}`] = regions;
          samples[`routed${side}`] = await run.time(() => routed(inputs, options), count);
          samples[`dense${side}`] = await run.time(() => dense(inputs), count);
        } finally {
          disposeInputs(inputs);
        }
      }
      const tokens = sides.map((side) => side * side);
      values.slopeRouted = slope(
        tokens,
        sides.map((side) => median(samples[`routed${side}`])),
      );
      values.slopeDense = slope(
        tokens,
        sides.map((side) => median(samples[`dense${side}`])),
      );
      values.batch = batch;
      values.fromSide = sides[0];
      values.toSide = sides[sides.length - 1];
      return { values, samples };
    },
    verdict({ values }) {
      const { slopeRouted, slopeDense, fromSide, toSide } = values;
      const because = `From ${fromSide} x ${fromSide} to ${toSide} x ${toSide} time grows as tokens to the power ${slopeRouted.toFixed(2)} (at most 1.5 asked), dense to the power ${slopeDense.toFixed(2)}.`;
      if (slopeRouted <= 1.5) return { verdict: 'holds', because };
      if (slopeRouted <= slopeDense - 0.2) return { verdict: 'holds in direction', because };
      return { verdict: 'does not hold', because };
    },
  },
  {
    id: 'model-operations',
    states: 'BiFormer T, S and B take 2.2, 4.5 and 9.8 billion multiply-adds on an image of 224 pixels.',
    where: 'table of the released models',
    check: 'formula',
    how: 'Our counter, part by part (stem, projections, routing, attention, convolutions, MLP, head). Holds if each is within 5 % of the reported number; in direction within 15 %.',
    async measure() {
      const values: Record<string, number> = {};
      for (const name of Object.keys(models) as (keyof typeof models)[])
        values[`billion${name}`] = modelMultiplyAdds(name, 224) / 1e9;
      return { values };
    },
    verdict({ values }) {
      const reported = { T: 2.2, S: 4.5, B: 9.8 };
      const off = Object.entries(reported).map(([name, number]) =>
        Math.abs(values[`billion${name}`] / number - 1),
      );
      const worst = Math.max(...off);
      const because = `T ${values.billionT.toFixed(2)}, S ${values.billionS.toFixed(2)}, B ${values.billionB.toFixed(2)} billion; the worst is off by ${(worst * 100).toFixed(1)} % (5 asked).`;
      return {
        verdict: worst <= 0.05 ? 'holds' : worst <= 0.15 ? 'holds in direction' : 'does not hold',
        because,
      };
    },
  },
  {
    id: 'imagenet',
    states: 'Top-1 on ImageNet: T 81.4, S 83.8, B 84.3 %.',
    where: 'table of the released models',
    check: 'none',
    verdict: 'not checkable here',
    reason: 'Training on ImageNet is out of reach here.',
  },
  {
    id: 'better-than-windows',
    states:
      'In the same layout routed regions give 82.7 % on ImageNet, shifted windows 81.3, cross-shaped ones 82.2, deformable attention 82.0.',
    where: 'ablation in the Swin-T layout',
    check: 'none',
    verdict: 'not yet measured',
    reason:
      'A small task stands in for it (find all copies of a cue glyph, 16 x 16 tokens; routed against dense, window and random regions); it needs the training package.',
  },
  {
    id: 'dense-prediction',
    states: 'The gain is largest in dense prediction: segmentation and detection.',
    where: 'abstract',
    check: 'none',
    verdict: 'not checkable here',
    reason:
      'ADE20K and COCO are out of reach here; the small task of the claim before is dense prediction and comes with the training package.',
  },
];
