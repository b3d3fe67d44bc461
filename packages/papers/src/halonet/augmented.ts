import { NO_TOKEN, type Plan } from '@saccade/attention';
import type { ReferenceInputs } from '../kit/paper.ts';
import { haloGeometry } from './blocks.ts';
import { haloPlan } from './mechanism.ts';
import type { Options } from './paper.ts';

/**
 * Position terms without a score expression, so that gradients come with the products: each query is lengthened by
 * its K row terms and K column terms over scale, each key by one-hot vectors of its row and column modulo K, which
 * are unique in a window of K x K. With a zero border the image gets a rim of h zero pixels, whose one-hot parts
 * still score.
 * @returns arrays [1, heads, tokens, headDim + 2K] (value [.., headDim]) of the rimmed image, its plan, and where
 *   each pixel went
 */
export function oneHotForm(inputs: ReferenceInputs, options: Options) {
  const { batch, heads, keyHeads, tokens, headDim } = inputs;
  const { position, blockSize, halo, scalePosition } = options;
  if (!position) throw new Error('oneHotForm: position is undefined; allowed: tables');
  const { rows, columns, windowSide: side, querySide, queryStep } = haloGeometry(tokens, options);
  const rim = options.border === 'zero' ? halo : 0;
  const across = columns + 2 * rim;
  const rimmed = (rows + 2 * rim) * across;
  const width = headDim + 2 * side;
  const place = (token: number) => (Math.floor(token / columns) + rim) * across + (token % columns) + rim;
  const tokenOf = Array.from({ length: tokens }, (_, token) => place(token));
  const factor = scalePosition ? 1 : headDim ** 0.5; // over scale, which attend() multiplies by

  const query = new Float64Array(batch * heads * rimmed * width);
  const key = new Float64Array(batch * keyHeads * rimmed * width);
  const value = new Float64Array(batch * keyHeads * rimmed * headDim);
  for (let head = 0; head < batch * keyHeads; head++) {
    for (let token = 0; token < rimmed; token++) {
      const at = (head * rimmed + token) * width + headDim;
      key[at + (Math.floor(token / across) % side)] = 1;
      key[at + side + ((token % across) % side)] = 1;
    }
    tokenOf.forEach((target, token) => {
      for (let d = 0; d < headDim; d++) {
        key[(head * rimmed + target) * width + d] = inputs.key[(head * tokens + token) * headDim + d];
        value[(head * rimmed + target) * headDim + d] = inputs.value[(head * tokens + token) * headDim + d];
      }
    });
  }
  for (let head = 0; head < batch * heads; head++) {
    tokenOf.forEach((target, token) => {
      const source = (head * tokens + token) * headDim;
      const at = (head * rimmed + target) * width;
      for (let d = 0; d < headDim; d++) query[at + d] = inputs.query[source + d];
      const fill = (pixel: number, entries: readonly (readonly number[])[], first: number) => {
        const local = Math.floor((pixel % blockSize) / queryStep);
        const start = pixel - (pixel % blockSize) - halo + rim; // the window's first line, on the rimmed image
        for (let u = 0; u < side; u++) {
          let term = 0;
          for (let d = 0; d < headDim; d++)
            term += inputs.query[source + d] * entries[side - 1 + u - local][d];
          query[at + first + ((((start + u) % side) + side) % side)] = term * factor;
        }
      };
      fill(Math.floor(token / columns), position.rows, headDim);
      fill(token % columns, position.columns, headDim + side);
    });
  }

  const plan = haloPlan(tokens, options);
  const { keys, queries } = plan;
  if (keys.kind !== 'boxes' || !queries.order)
    throw new Error('Saccade has a bug: a halo plan without boxes');
  const boxes = keys.boxes.map((number, i) => (i % 6 === 1 || i % 6 === 2 ? number + rim : number));
  const moved: Plan = {
    ...plan,
    queryTokens: rimmed,
    keyTokens: rimmed,
    queries: {
      ...queries,
      block: querySide * querySide,
      order: queries.order.map((token) => (token === NO_TOKEN ? NO_TOKEN : place(token))),
    },
    keys: { ...keys, grid: [1, rows + 2 * rim, across], boxes, outside: 'skip' },
  };
  return { query, key, value, tokens: rimmed, plan: moved, tokenOf };
}
