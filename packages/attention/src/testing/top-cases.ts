import type { Device } from '../device/device.ts';
import { headThreshold, topK, topP } from '../select/top.ts';
import type { Tensor } from '../tensor.ts';
import { compare, type DeviceCase, exactly, listsOf } from './cases.ts';
import { randomArray } from './close.ts';

/** Two values and all their neighbours in rank; half of the rows are all equal. */
function withTies(on: Device, rows: number, columns: number): Tensor {
  const scores = Float32Array.from(
    { length: rows * columns },
    (_, i) => Math.floor(((i * 37) % 101) / 25) - 2,
  );
  scores.set([Number.NaN, Infinity, -Infinity, 0, -0, 3.4e38, -3.4e38, 1e-45], 20);
  scores.fill(Number.NaN, columns, 2 * columns);
  scores.fill(1, 2 * columns, 3 * columns);
  scores.fill(-Infinity, 3 * columns, 4 * columns);
  scores.fill(Infinity, 4 * columns, 4 * columns + 3);
  return on.tensor(scores, [1, 1, rows, columns], 'f32');
}

/** Scores whose softmax has a sharp head and a long flat tail that weighs as much: sums in f32 would lose it. */
function headAndTail(on: Device, columns: number): Tensor {
  const scores = randomArray(3, [2, columns], 0.25).map((x, i) => (i % columns === 17 ? 9 : x));
  return on.tensor(scores, [1, 2, 1, columns], 'f32');
}

type Choose = (scores: Tensor) => ReturnType<typeof topK>;

function cases(name: string, shape: readonly number[], choose: Choose): DeviceCase {
  return {
    name: `${name} of [${shape.slice(2).join(', ')}]`,
    run: (device) =>
      compare(device, async (_on, tensor) => listsOf(await choose(tensor(5, ...shape))), exactly),
  };
}

const tied = (name: string, choose: Choose, columns = 50): DeviceCase => ({
  name: `${name} of ${columns} with ties, NaN and infinities`,
  run: (device) => compare(device, async (on) => listsOf(await choose(withTies(on, 7, columns))), exactly),
});

const long = (name: string, choose: Choose): DeviceCase => ({
  name: `${name} of a long row with a flat tail`,
  run: (device) => compare(device, async (on) => listsOf(await choose(headAndTail(on, 20_000))), exactly),
});

const square = [1, 2, 40, 40];
/** Rows that are the last of a sequence, too long to compare all pairs. */
const wide = [1, 2, 5, 300];
const last = { firstRow: 295 };
const forced = { causal: true, sink: 1, local: 2 };

/** Selections: every device must choose the same sets. */
export const topCases: DeviceCase[] = [
  cases('top 5', [1, 2, 7, 33], (scores) => topK(scores, { k: 5 })),
  cases('top 300', [1, 1, 3, 300], (scores) => topK(scores, { k: 300 })),
  cases('top 61', [1, 1, 2, 4096], (scores) => topK(scores, { k: 61 })),
  cases('top 6, causal', square, (scores) => topK(scores, { k: 6, causal: true })),
  cases('top 6, causal, forced', square, (scores) => topK(scores, { k: 6, ...forced })),
  cases('top 9, causal, forced', wide, (scores) => topK(scores, { k: 9, ...forced, ...last })),
  cases('mass 0.2, causal, forced', wide, (scores) => topP(scores, { p: 0.2, ...forced, ...last })),
  cases('mass 0.5, 4 to 31', wide, (scores) => topP(scores, { p: 0.5, atLeast: 4, atMost: 31, sink: 2 })),
  cases('top 1, own column', square, (scores) => topK(scores, { k: 1, local: 1 })),
  cases('top 4 of token rows', [1, 1, 30, 9], (scores) =>
    topK(scores, { k: 4, ...forced, rowsPerColumn: 4, firstRow: 5 }),
  ),
  tied('top 11', (scores) => topK(scores, { k: 11 })),
  tied('top 111', (scores) => topK(scores, { k: 111 }), 320),
  long('top 2048', (scores) => topK(scores, { k: 2048, sink: 3, local: 5, firstRow: 19_998 })),
  cases('mass 0.9', [1, 2, 7, 33], (scores) => topP(scores, { p: 0.9 })),
  cases('mass 1', [1, 1, 2, 65], (scores) => topP(scores, { p: 1 })),
  cases('mass 0.3, causal, forced', square, (scores) => topP(scores, { p: 0.3, ...forced })),
  cases('mass 0.5, 4 to 9', square, (scores) => topP(scores, { p: 0.5, atLeast: 4, atMost: 9, ...forced })),
  cases('mass 0.01, at least 0', [1, 1, 4, 17], (scores) => topP(scores, { p: 0.01, atLeast: 0 })),
  tied('mass 0.6', (scores) => topP(scores, { p: 0.6 })),
  tied('mass 0.6', (scores) => topP(scores, { p: 0.6 }), 320),
  tied('mass 0.6, at least 0', (scores) => topP(scores, { p: 0.6, atLeast: 0, sink: 1 })),
  long('mass 0.7', (scores) => topP(scores, { p: 0.7 })),
  cases('117 a head', [2, 3, 21, 33], (scores) => headThreshold(scores, { keep: 117 })),
  cases('a fifth a head, causal, forced', square, (scores) =>
    headThreshold(scores, { fraction: 0.2, ...forced }),
  ),
  cases('all a head', [1, 1, 5, 300], (scores) => headThreshold(scores, { keep: 1500 })),
  cases('one a head', [1, 2, 1, 1], (scores) => headThreshold(scores, { keep: 1 })),
  tied('90 a head', (scores) => headThreshold(scores, { keep: 90 })),
  tied('forced pairs alone a head', (scores) => headThreshold(scores, { keep: 14, sink: 2 })),
];
