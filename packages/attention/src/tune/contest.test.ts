import { expect, test } from 'vitest';
import type { Candidate } from '../softmax/tiers/candidates.ts';
import { type Arena, holdContest } from './contest.ts';

const limits = { compileMs: 40, budgetMs: 1500 };

/** A candidate by the queries of its tile; 0 is the tier's own choice. */
const candidate = (queryTile: number): Candidate => ({
  tier: 'portable',
  queryTile,
  kernel: { name: `of ${queryTile}`, code: `${queryTile}`, bindings: {}, threads: 1, memoryBytes: 0 },
  tile:
    queryTile === 0
      ? undefined
      : {
          tier: 'portable',
          tile: { queryTile, keyTile: 16, rowsPerThread: 1, chunk: 8, prefetch: false, abreast: 1 },
        },
});

/** A machine on which each candidate takes its time; `change` makes it a bad one. */
function fakeArena(times: Record<number, number>, change: Partial<Arena> = {}) {
  let time = 0;
  const arena: Arena = {
    compile: async () => {},
    check: async () => undefined,
    wake: async () => {},
    sample: async ({ queryTile }, count) => {
      time += count * times[queryTile];
      return Array<number>(count).fill(times[queryTile]);
    },
    now: () => time,
    ...change,
  };
  return arena;
}

const all = [0, 8, 16].map(candidate);
const tilesOf = (found: { tile: Candidate['tile'] }[]) =>
  found.map(({ tile }) => (tile as { tile: { queryTile: number } }).tile.queryTile);

test('the fastest is chosen, with what the own choice took', async () => {
  const { best, own, timed, dropped } = await holdContest(all, fakeArena({ 0: 2, 8: 1, 16: 3 }), { limits });
  expect([best?.entry.queryTile, best?.medianMs, own?.medianMs]).toEqual([8, 1, 2]);
  expect([timed.length, dropped]).toEqual([3, []]);
});

test('the own choice stays where another is faster by no more than noise', async () => {
  const { best } = await holdContest(all, fakeArena({ 0: 1.01, 8: 1, 16: 3 }), { limits });
  expect(best?.entry.queryTile).toBe(0);
});

test('a candidate that computes wrong is dropped before it is timed, however fast', async () => {
  const sampled: number[] = [];
  const honest = fakeArena({ 0: 2, 8: 0.1, 16: 1 });
  const arena: Arena = {
    ...honest,
    check: async ({ queryTile }) => (queryTile === 8 ? '3 of 9 outputs differ' : undefined),
    sample: (one, count) => {
      sampled.push(one.queryTile);
      return honest.sample(one, count);
    },
  };
  const { best, dropped } = await holdContest(all, arena, { limits });
  expect(best?.entry.queryTile).toBe(16);
  expect(tilesOf(dropped)).toEqual([8]);
  expect(dropped[0]).toMatchObject({ reason: '3 of 9 outputs differ', wrong: true });
  expect(sampled).not.toContain(8);
});

test('an own choice that computes wrong gives way to one that does not', async () => {
  const check: Arena['check'] = async ({ queryTile }) => (queryTile === 0 ? 'all differ' : undefined);
  const { best, own } = await holdContest(all, fakeArena({ 0: 1, 8: 3, 16: 2 }, { check }), { limits });
  expect([best?.entry.queryTile, own]).toEqual([16, undefined]);
  const none = await holdContest(all, fakeArena({}, { check: async () => 'all differ' }), { limits });
  expect([none.best, none.dropped.length]).toEqual([undefined, 3]);
});

test('a candidate that compiles slowly or not at all is dropped, and may be tried again', async () => {
  const compile: Arena['compile'] = ({ queryTile }) =>
    queryTile === 8
      ? new Promise(() => {})
      : queryTile === 16
        ? Promise.reject(new Error('no'))
        : Promise.resolve();
  const { best, dropped } = await holdContest(all, fakeArena({ 0: 5, 8: 1, 16: 1 }, { compile }), { limits });
  expect(best?.entry.queryTile).toBe(0);
  expect(dropped.map(({ reason, wrong }) => [reason, wrong])).toEqual([
    ['it does not compile: no', false],
    ['compiling took more than 40 ms', false],
  ]);
});

test('the own choice is waited for, and a first run that compiles counts as compiling', async () => {
  let time = 0;
  const arena = fakeArena(
    { 0: 5, 8: 1, 16: 2 },
    {
      compile: ({ queryTile }) => new Promise((resolve) => setTimeout(resolve, queryTile === 0 ? 80 : 0)),
      check: async ({ queryTile }) => {
        time += queryTile === 8 ? 1000 : 1;
        return undefined;
      },
      now: () => time,
    },
  );
  const { best, dropped } = await holdContest(all, arena, { limits });
  expect(best?.entry.queryTile).toBe(16);
  expect(dropped.map(({ reason }) => reason)).toEqual(['the first run took more than 40 ms']);
});

test('cancelling ends it', async () => {
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(holdContest(all, fakeArena({}), { limits, signal })).rejects.toThrow('enough');
});
