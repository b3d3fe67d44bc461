import type { TokenInputs } from '../kit/lab/features.ts';
import { inputsFromText } from '../kit/lab/tokens.ts';

/** What stands in for the prompt of a video model. */
const PROMPT =
  'A cat trots from right to left before a wall that is ruled into numbered squares, in twelve pictures taken one after the other';

/**
 * A clip with words after it, as video models have their prompt in the sequence.
 * @param count words; the prompt is repeated or cut
 */
export function withText(clip: TokenInputs, count: number): TokenInputs {
  if (count === 0) return clip;
  const [batch, heads, tokens, headDim] = clip.shape;
  const words = inputsFromText(PROMPT, { grid: [count], heads, headDim });
  const joined = (video: Float32Array, text: Float32Array) => {
    const all = new Float32Array(heads * (tokens + count) * headDim);
    for (let head = 0; head < heads; head++) {
      const at = head * (tokens + count) * headDim;
      all.set(video.subarray(head * tokens * headDim, (head + 1) * tokens * headDim), at);
      all.set(text.subarray(head * count * headDim, (head + 1) * count * headDim), at + tokens * headDim);
    }
    return all;
  };
  return {
    ...clip,
    query: joined(clip.query, words.query),
    key: joined(clip.key, words.key),
    value: joined(clip.value, words.value),
    shape: [batch, heads, tokens + count, headDim],
  };
}
