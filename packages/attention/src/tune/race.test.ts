import { expect, test } from 'vitest';
import { race } from './race.ts';

/** Entries take their own time a call; what was sampled is written down. */
function fakeRace(times: Record<string, number>, noise: (turn: number) => number = () => 0) {
  const sampled: string[] = [];
  let time = 0;
  return {
    sampled,
    options: {
      sample: async (entry: string, count: number) => {
        sampled.push(entry);
        const each = times[entry] * (1 + noise(sampled.length));
        time += count * each;
        return Array<number>(count).fill(each);
      },
      budgetMs: 1500,
      now: () => time,
    },
  };
}

test('a leader that is clearly ahead wins after one round', async () => {
  const { options, sampled } = fakeRace({ a: 3, b: 1, c: 2, d: 4 });
  const ranked = await race(['a', 'b', 'c', 'd'], options);
  expect(ranked.map(({ entry, medianMs }) => [entry, medianMs])).toEqual([
    ['b', 1],
    ['c', 2],
    ['a', 3],
    ['d', 4],
  ]);
  expect(sampled).toEqual(['a', 'b', 'c', 'd']);
});

test('close entries meet again, the slower half leaves every round, the last two meet three times', async () => {
  const times = { a: 1.06, b: 1.05, c: 1.04, d: 1.03, e: 1.02, f: 1.01, g: 1.07, h: 1 };
  const { options, sampled } = fakeRace(times);
  const ranked = await race(Object.keys(times), options);
  expect(ranked.map(({ entry }) => entry).slice(0, 4)).toEqual(['h', 'f', 'e', 'd']);
  expect(ranked).toHaveLength(8);
  expect(sampled).toHaveLength(8 + 4 + 3 * 2);
  expect(ranked[0].samplesMs).toHaveLength(15);
});

test('one slow reading does not decide', async () => {
  const { options } = fakeRace({ a: 1, b: 1.05 }, (turn) => (turn === 1 ? 0.06 : 0));
  expect((await race(['a', 'b'], options))[0].entry).toBe('a');
});

test('the budget ends it, and what was never timed has no place', async () => {
  const { options, sampled } = fakeRace({ a: 400, b: 390, c: 1 });
  const ranked = await race(['a', 'b', 'c'], options);
  expect(sampled).toEqual(['a', 'b']);
  expect(ranked.map(({ entry }) => entry)).toEqual(['b', 'a']);
});
