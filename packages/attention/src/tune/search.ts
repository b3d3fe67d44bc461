import type { GpuTier } from '../device/device.ts';
import type { Gpu } from '../device/gpu.ts';
import { ArgumentError, throwIfAborted } from '../errors.ts';
import { familyName, familyOf, kernelHash } from '../softmax/family.ts';
import type { AttendRequest } from '../softmax/request.ts';
import { retileWith } from '../softmax/retile.ts';
import { type Candidate, candidatesOf, describeTile } from '../softmax/tiers/candidates.ts';
import { chooseForward, forwardOf, loadMatrixTier } from '../softmax/tiers/forward.ts';
import { openTunedTiles, type TunedEntry, type TunedTiles } from '../softmax/tuned.ts';
import { attendOnGpu, tiledCall } from '../softmax/webgpu.ts';
import { type Arena, type Contest, contestLimits, type Dropped, holdContest } from './contest.ts';
import { checkMask } from './masks.ts';
import { makeProblem, oddSize, type Problem, type ProblemSize } from './problem.ts';
import { fillSample, sampleBusy, wake } from './steady.ts';
import type { TunedFamily, TuneOptions, TuneResult } from './tune.ts';

const defaults = {
  headDims: [64, 128],
  dtypes: ['f16', 'f32'],
  masks: ['dense', 'causal', 'blocks-64'],
  tokens: [2048, 8192],
  batchHeads: [16],
} as const satisfies TuneOptions;

/** tune() on a WebGPU device: searches every combination of what is given, and keeps what it finds after each family. */
export async function searchFamilies(gpu: Gpu, options: TuneOptions): Promise<TuneResult> {
  const given = checkOptions(options);
  const { signal, progress } = options;
  const tiles = openTunedTiles(gpu, retileWith);
  await tiles.ready;
  if (gpu.tier === 'matrix') await loadMatrixTier();
  const sizes: ProblemSize[] = [];
  for (const dtype of given.dtypes)
    for (const headDim of given.headDims)
      for (const mask of given.masks)
        for (const tokens of given.tokens)
          for (const batchHeads of given.batchHeads)
            sizes.push({ mask, dtype, headDim, batchHeads, queryTokens: tokens, keyTokens: tokens });
  const families: TunedFamily[] = [];
  let { note } = tiles;
  let kept = tiles.place !== undefined;
  for (const [index, size] of sizes.entries()) {
    throwIfAborted(signal);
    const words = `${size.dtype}, headDim ${size.headDim}, ${size.mask}, ${size.queryTokens} tokens, ${size.batchHeads} heads`;
    progress?.(index, sizes.length, words);
    const family = await tuneFamily(gpu, tiles, size, signal);
    if (families.some(({ name }) => name === family.name)) continue;
    families.push(family);
    try {
      await tiles.save();
    } catch (error) {
      kept = false;
      note = `the result cannot be kept in ${tiles.place}: ${(error as Error).message}`;
    }
  }
  return { families, place: tiles.place, kept, note };
}

/** Every combination of these is a family. */
type FamilyLists = Required<Omit<TuneOptions, 'signal' | 'progress'>>;

function checkOptions(options: TuneOptions): FamilyLists {
  const { headDims, dtypes, masks, tokens, batchHeads } = { ...defaults, ...withoutUndefined(options) };
  const limits = {
    headDims: [headDims, 1024],
    tokens: [tokens, 2 ** 20],
    batchHeads: [batchHeads, 4096],
  } as const;
  for (const [name, [numbers, most]] of Object.entries(limits)) {
    if (numbers.length === 0) throw new ArgumentError('tune', name, 'empty', 'at least one number');
    for (const number of numbers)
      if (!Number.isInteger(number) || number < 1 || number > most)
        throw new ArgumentError('tune', name, number, `integers from 1 to ${most}`);
  }
  for (const dtype of dtypes)
    if (dtype !== 'f32' && dtype !== 'f16') throw new ArgumentError('tune', 'dtypes', dtype, 'f32, f16');
  for (const mask of masks) checkMask('tune', mask);
  return { headDims, dtypes, masks, tokens, batchHeads };
}

function withoutUndefined(options: TuneOptions): TuneOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

async function tuneFamily(
  gpu: Gpu,
  tiles: TunedTiles,
  asked: ProblemSize,
  signal: AbortSignal | undefined,
): Promise<TunedFamily> {
  const problem = await sizedProblem(gpu, asked, signal);
  const odd = makeProblem(gpu, oddSize(asked));
  try {
    const { request, size } = problem;
    const { prepared, blocks, machine } = tiledCall(gpu, request);
    const { options } = prepared;
    const { tier } = chooseForward(options, blocks, machine, gpu.tier, undefined);
    const nominal = {
      batch: 1,
      heads: asked.batchHeads,
      queryTokens: asked.queryTokens,
      keyTokens: asked.keyTokens,
    };
    const family = familyOf(options, blocks, nominal, tier);
    const name = familyName(family);
    const hash = (tile: Candidate['tile']) => kernelHash(family, machine, tile, forwardOf);
    const wrong = tiles.find(name, hash)?.wrong ?? [];
    const all = candidatesOf(options, blocks, machine, tier);
    const candidates = all.filter(({ tile }) => !tile || !wrong.includes(tile));
    const arena = await arenaOf(gpu, request, odd.request, tier, signal);
    const contest = await holdContest(candidates, arena, {
      limits: contestLimits[gpu.software ? 'software' : 'hardware'],
      signal,
    });
    const { best } = contest;
    if (best) {
      const tile = best.entry.tile ?? null;
      const entry: TunedEntry = {
        tile,
        kernel: hash(tile ?? undefined),
        timeMs: best.medianMs,
        ownChoiceMs: contest.own?.medianMs ?? null,
        batchHeads: size.batchHeads,
        tokens: size.queryTokens,
        date: new Date().toISOString(),
        wrong: [...wrong, ...wrongTiles(contest.dropped)],
      };
      tiles.set(name, entry);
    }
    const before = all.length - candidates.length;
    return { ...told(contest, before), name, tier, batchHeads: size.batchHeads, tokens: size.queryTokens };
  } finally {
    problem.dispose();
    odd.dispose();
  }
}

const wrongTiles = (dropped: readonly Dropped[]) =>
  dropped.flatMap(({ tile, wrong }) => (wrong && tile ? [tile] : []));

const words = (tile: Candidate['tile']) => tile && describeTile(tile);

function told({ best, own, timed, dropped }: Contest, before: number) {
  const known = { tile: undefined, reason: `${before} computed wrong in an earlier search` };
  return {
    tile: best && words(best.entry.tile),
    timeMs: best?.medianMs,
    ownChoiceMs: own?.medianMs,
    timed: timed.map(({ entry, medianMs, samplesMs }) => ({ tile: words(entry.tile), medianMs, samplesMs })),
    dropped: [
      ...dropped.map(({ tile, reason }) => ({ tile: words(tile), reason })),
      ...(before > 0 ? [known] : []),
    ],
  };
}

/** A call that takes this long says enough. */
const ENOUGH_MS = 10;
const FIRST_TOKENS = 256;

/** The problem asked for, or one with fewer tokens and heads where a call of it would take longer than is worth while. */
async function sizedProblem(
  gpu: Gpu,
  asked: ProblemSize,
  signal: AbortSignal | undefined,
): Promise<Problem & { size: ProblemSize }> {
  let tokens = Math.min(FIRST_TOKENS, asked.queryTokens);
  let batchHeads = 1;
  for (;;) {
    const size = { ...asked, batchHeads, queryTokens: tokens, keyTokens: tokens };
    const problem = makeProblem(gpu, size);
    try {
      const run = call(gpu, problem.request);
      const timed = { work: () => run('own'), device: gpu, signal };
      const [timeMs] = await sampleBusy(timed, 1, 1);
      if (timeMs >= ENOUGH_MS || (tokens === asked.queryTokens && batchHeads === asked.batchHeads))
        return { ...problem, size };
    } catch (error) {
      problem.dispose();
      throw error;
    }
    problem.dispose();
    if (tokens < asked.queryTokens) tokens = Math.min(2 * tokens, asked.queryTokens);
    else batchHeads = Math.min(4 * batchHeads, asked.batchHeads);
  }
}

/** Queues a call with a tile and lets go of its result. */
const call =
  (gpu: Gpu, request: AttendRequest) =>
  async (tile: Candidate['tile'] | 'own'): Promise<void> => {
    const { output, logSumExp } = await attendOnGpu(gpu, request, tile ?? 'own');
    output.dispose();
    logSumExp.dispose();
  };

async function arenaOf(
  gpu: Gpu,
  request: AttendRequest,
  odd: AttendRequest,
  tier: GpuTier,
  signal: AbortSignal | undefined,
): Promise<Arena> {
  const read = async (tile: Candidate['tile'], on: GpuTier) => {
    const { output, logSumExp } = await attendOnGpu(gpu, { ...odd, tier: on }, tile ?? 'own');
    const numbers = [await output.read(), await logSumExp.read()] as const;
    output.dispose();
    logSumExp.dispose();
    return numbers;
  };
  const expected = await read(undefined, 'portable');
  const run = call(gpu, { ...request, tier });
  const timed = ({ tile }: Candidate) => ({ work: () => run(tile), device: gpu, signal });
  const tolerance = odd.query.dtype === 'f16' ? 5e-3 : 1e-4;
  return {
    compile: ({ kernel }) => gpu.pipeline(kernel),
    check: async ({ tile }) => {
      const actual = await read(tile, tier);
      const wrong = actual.map((numbers, i) => differing(numbers, expected[i], tolerance));
      return wrong.every((count) => count === 0)
        ? undefined
        : `${wrong[0]} of ${expected[0].length} outputs and ${wrong[1]} of ${expected[1].length} sums differ from the portable kernel's`;
    },
    // a processor has no clock to wait for
    wake: async (candidate) => (gpu.software ? undefined : wake(timed(candidate))),
    sample: async (candidate, count) =>
      sampleBusy(timed(candidate), await fillSample(timed(candidate)), count),
    now: () => performance.now(),
  };
}

/** Numbers that differ by more than a tolerance, absolute and relative; NaN and infinities must be the same. */
function differing(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): number {
  let count = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i], expected[i]];
    const same = Object.is(a, e) || Math.abs(a - e) <= tolerance * (1 + Math.abs(e));
    if (!same) count++;
  }
  return count;
}
