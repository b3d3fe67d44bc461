import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { attend, openDevice } from '../packages/attention/src/index.ts';
import { type BenchFile, type BenchResult, benchResultSchema } from '../packages/site/src/shared/bench.ts';
import { quick, type TimedCase } from './cases.ts';
import { inputsOf } from './inputs.ts';
import { attendOptions, blockLists } from './masks.ts';

/** A line of torch_attention.py's answer. */
const answerSchema = z.object({
  results: z.array(benchResultSchema.omit({ case: true }).extend({ case: z.string() })),
  skipped: z.array(z.object({ case: z.string(), peer: z.string(), why: z.string() })),
});

/**
 * Runs PyTorch's SDPA and FlexAttention on the f16 cases, in a Python of its own: bench/torch_attention.py. It gets the
 * block lists that we use, and a small form of each case with the reference's output, on which it must agree first.
 * @yields what is done, case by case
 */
export async function* runTorch(
  items: readonly TimedCase[],
): AsyncGenerator<{ results: BenchResult[]; skipped: BenchFile['skipped'] }> {
  const taken = items.filter(({ facts }) => facts.dtype === 'f16');
  if (taken.length === 0) return;
  const probe = spawnSync('python3', ['-c', 'import torch; assert torch.cuda.is_available()'], {
    encoding: 'utf8',
  });
  if (probe.status !== 0) {
    const why = `no python3 with torch and CUDA: ${(probe.error?.message ?? probe.stderr.trim().split('\n').at(-1)) || 'unknown'}`;
    yield { results: [], skipped: taken.map(({ facts }) => ({ case: facts.id, peer: 'torch', why })) };
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'saccade-torch-'));
  try {
    const asked = join(folder, 'cases.json');
    writeFileSync(asked, JSON.stringify(await torchSpec(taken)));
    const script = join(import.meta.dirname, 'torch_attention.py');
    const python = spawn('python3', [script, asked], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(python, 'close');
    ended.catch(() => {}); // a python3 that does not start is told of below
    for await (const line of createInterface({ input: python.stdout })) {
      const { results, skipped } = answerSchema.parse(JSON.parse(line));
      yield {
        results: results.map((result) => ({
          ...result,
          case: taken.find(({ facts }) => facts.id === result.case)!.facts,
        })),
        skipped,
      };
    }
    const [status] = await ended;
    if (status !== 0) throw new Error(`torch_attention.py ended with ${status}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What torch_attention.py reads. */
export async function torchSpec(items: readonly TimedCase[]) {
  const reference = await openDevice('reference');
  const described = (item: TimedCase) => {
    const { facts } = item;
    return { ...facts, lists: facts.mask.kind === 'blocks' ? blockLists(facts, facts.mask) : undefined };
  };
  const cases = [];
  for (const item of items) {
    const small = quick(item);
    const { batch, heads, queryTokens, keyTokens, headDim } = small.facts;
    const inputs = inputsOf(small.facts);
    const tensor = (numbers: Float32Array, tokens: number) =>
      reference.tensor(numbers, [batch, heads, tokens, headDim]);
    const { output } = await attend(
      tensor(inputs.query, queryTokens),
      tensor(inputs.key, keyTokens),
      tensor(inputs.value, keyTokens),
      attendOptions(small.facts),
    );
    const numbers = (array: ArrayLike<number>) => Array.from(array, (x) => Number(x.toFixed(6)));
    cases.push({
      ...described(item),
      rounds: item.rounds,
      check: {
        ...described(small),
        query: numbers(inputs.query),
        key: numbers(inputs.key),
        value: numbers(inputs.value),
        output: numbers(await output.read()),
      },
    });
  }
  return { cases };
}
