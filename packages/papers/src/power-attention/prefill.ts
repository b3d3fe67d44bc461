import { attend } from '@saccade/attention';
import { median } from '../kit/claim.ts';
import type { Outputs, Trial } from '../kit/paper.ts';
import { disposeInputs, randomInputs } from '../kit/random-inputs.ts';
import { powerAttention } from './mechanism.ts';
import { type Options, type PatternName, options as schema } from './paper.ts';
import { type BlockCounts, countBlocks, equalBudget, type PatternOptions } from './patterns.ts';

/** Time of a whole prompt under one pattern. */
export interface PrefillTime {
  name: PatternName | 'dense';
  samplesMs: number[];
  /** Median of them; undefined before the first. */
  timeMs?: number;
  /** Block pairs that are visited, and those of full causal attention: their ratio bounds the gain. */
  kept: number;
  causal: number;
}

/** Blocks of the prompt; large enough for a kernel, small enough for a pattern to have many. */
export const PREFILL_BLOCK = 64;
const HEADS = 4;
const HEAD_DIM = 64;
const ROUNDS = 7;
const PATIENCE_MS = 5000;

/** The method, the reader's pattern at the same budget and dense causal attention on a random prompt, in turns. */
export const prefill: Trial<
  Options,
  { tokens: number; pattern: Pick<PatternOptions, 'pattern' | 'windowBlocks' | 'sinkBlocks'> },
  PrefillTime[]
> = async ({ device, settings, signal, progress }) => {
  const { tokens, pattern } = settings;
  const blocks = Math.ceil(tokens / PREFILL_BLOCK);
  const inputs = randomInputs(device, [1, HEADS, tokens, HEAD_DIM]);
  const names = [...new Set<PatternName>(['power', pattern.pattern])];
  const base: PatternOptions = { ...schema.parse({}), ...pattern };
  const lanes = names.map((name) => {
    const budget = equalBudget(name, blocks, base);
    const options = schema.parse({ ...budget, blockSize: PREFILL_BLOCK });
    return {
      time: timeOf(name, countBlocks(blocks, budget)),
      work: () => powerAttention(inputs, options, { signal }),
    };
  });
  const times = [
    ...lanes,
    {
      time: timeOf('dense', countBlocks(blocks, { ...base, pattern: 'full' })),
      work: () => attend(inputs.query, inputs.key, inputs.value, { causal: true, signal }),
    },
  ];
  const lap = async (work: () => Promise<Pick<Outputs, 'output' | 'logSumExp'>>) => {
    signal.throwIfAborted();
    const start = performance.now();
    const { output, logSumExp } = await work();
    await device.finish();
    const ms = performance.now() - start;
    output.dispose();
    logSumExp.dispose();
    return ms;
  };
  const told = () => times.map(({ time }) => time);
  try {
    for (const { time, work } of times) {
      progress(0.05, `warming up: ${time.name}`);
      await lap(work);
    }
    const began = performance.now();
    for (let round = 0; round < ROUNDS; round++) {
      if (round >= 3 && performance.now() - began > PATIENCE_MS) break;
      for (const { time, work } of times) {
        time.samplesMs.push(await lap(work));
        time.timeMs = median(time.samplesMs);
      }
      progress((round + 1) / ROUNDS, `round ${round + 1} of ${ROUNDS}`, told());
    }
  } finally {
    disposeInputs(inputs);
  }
  return told();
};

const timeOf = (name: PrefillTime['name'], { kept, causal }: BlockCounts): PrefillTime => ({
  name,
  samplesMs: [],
  kept,
  causal,
});
