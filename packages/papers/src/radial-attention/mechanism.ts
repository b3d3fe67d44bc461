import {
  ArgumentError,
  type AttendOptions,
  attend,
  blockListPlan,
  type ListedBlock,
  type Plan,
  table,
} from '@saccade/attention';
import type { Inputs, Outputs, RunContext } from '../kit/paper.ts';
import { remember } from '../kit/remember.ts';
import { blockMask } from './block-mask.ts';
import type { Options } from './paper.ts';
import { bandWidths, EVERYTHING, NOTHING, touchedBlocks } from './token-mask.ts';

/**
 * Radial attention on the engines: select by a rule, attend, nothing to correct. Equation numbers as in reference.ts.
 * @throws ArgumentError where the grid and the text tokens do not make up the tokens, or query and key differ in tokens
 */
export async function radialAttention(
  { query, key, value }: Inputs,
  options: Options,
  run: RunContext = {},
): Promise<Outputs> {
  const tokens = key.shape[2];
  if (query.shape[2] !== tokens) {
    throw new ArgumentError('radial-attention', 'query', `${query.shape[2]} tokens`, `${tokens}, as key`);
  }
  // select: lists of key blocks, the same for all batches and heads
  const attended: AttendOptions = { plan: radialPlan(tokens, options), signal: run.signal };
  // attend: (11)
  const { output, logSumExp } = await attend(query, key, value, attended);
  // correct: nothing
  return { output, logSumExp, attended };
}

/** Frames and tokens of a frame. */
export function frameGeometry(tokens: number, { grid, textTokens }: Options) {
  const video = tokens - textTokens;
  if (video < 1) {
    throw new ArgumentError(
      'radial-attention',
      'textTokens',
      textTokens,
      `less than the ${tokens} tokens, so that a video is left`,
    );
  }
  const product = grid?.reduce((size, length) => size * length, 1) ?? video;
  if (product !== video) {
    throw new ArgumentError(
      'radial-attention',
      'grid',
      `[${grid?.join(', ')}], ${product} tokens`,
      `a product of ${video}: ${tokens} tokens less ${textTokens} of text`,
    );
  }
  const frames = grid?.[0] ?? 1;
  return { frames, perFrame: video / frames };
}

/** Block lists of the chosen mask; made once a geometry. */
export const radialPlan = remember((tokens: number, options: Options): Plan => {
  const { frames, perFrame } = frameGeometry(tokens, options);
  const { blockSize, decay, sink, textTokens } = options;
  const layout = { slots: tokens, block: blockSize };
  const shared = { queryTokens: tokens, keyTokens: tokens, queries: layout, keys: layout };
  const side = Math.ceil(tokens / blockSize);
  if (options.mask === 'blocks') {
    // (5) to (10): a kept block is kept whole
    const { kept, forcedDiagonals } = blockMask({ frames, perFrame, blockSize, decay, sink, textTokens });
    const forced = forcedDiagonals > 0 ? `, ${forcedDiagonals} diagonal blocks forced on` : '';
    return blockListPlan({
      ...shared,
      name: `radial block mask, ${frames} frames of ${perFrame}${forced}`,
      lists: listsOf(side, (entry) => (kept[entry] ? { full: true } : undefined)),
    });
  }
  const touched = touchedBlocks(tokens, blockSize, { frames, perFrame, sink });
  const widths = table(bandWidths(frames, perFrame), [frames]);
  const video = frames * perFrame;
  return blockListPlan({
    ...shared,
    name: `radial token mask, ${frames} frames of ${perFrame}`,
    lists: listsOf(side, (entry) =>
      touched[entry] === NOTHING ? undefined : { full: touched[entry] === EVERYTHING },
    ),
    // (1) to (4): one number a distance in frames says how far apart positions may be
    keep: ({ query, key, readInt }) => {
      const frameDistance = query.div(perFrame).sub(key.div(perFrame)).abs();
      const distance = query.mod(perFrame).sub(key.mod(perFrame)).abs();
      let kept = distance.le(readInt(widths, frameDistance));
      if (sink) kept = kept.or(key.lt(perFrame));
      return textTokens > 0 ? kept.or(query.ge(video)).or(key.ge(video)) : kept;
    },
  });
});

function listsOf(side: number, at: (entry: number) => { full: boolean } | undefined): ListedBlock[][] {
  return Array.from({ length: side }, (_, row) => {
    const list: ListedBlock[] = [];
    for (let block = 0; block < side; block++) {
      const entry = at(row * side + block);
      if (entry) list.push({ block, ...entry });
    }
    return list;
  });
}
