import { expect, test } from 'vitest';
import { interleave } from './interleave.ts';

const run = (signal = new AbortController().signal) => {
  const calls: string[] = [];
  return {
    calls,
    signal,
    time: async (work: () => Promise<unknown>, { samples = 1, warmUp = 0 } = {}) => {
      for (let i = 0; i < samples + warmUp; i++) calls.push(String(await work()));
      return Array.from({ length: samples }, () => calls.length);
    },
  };
};

test('works take turns; only the first round warms up', async () => {
  const one = run();
  const times = await interleave(one, { a: async () => 'a', b: async () => 'b' }, { samples: 3, warmUp: 1 });
  expect(one.calls.join('')).toBe('aabbabab');
  expect(times).toEqual({ a: [2, 5, 7], b: [4, 6, 8] });
});

test('a cancelled run stops before the next piece of work', async () => {
  const stop = new AbortController();
  const one = run(stop.signal);
  const works = {
    a: async () => stop.abort(new Error('enough')),
    b: async () => 'b',
  };
  await expect(interleave(one, works, { samples: 3 })).rejects.toThrow('enough');
  expect(one.calls).not.toContain('b');
});
