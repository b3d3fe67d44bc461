import { expect, test } from 'vitest';
import { withPlainTitles } from './titles.ts';

test('titles lose their LaTeX, and rows nothing else', async () => {
  const rows = [{ slug: 'fna', title: 'Reducing the $O(n^2)$ Cost', note: '$x$' }];
  expect(await withPlainTitles(Promise.resolve(rows))).toEqual([
    { slug: 'fna', title: 'Reducing the O(n²) Cost', note: '$x$' },
  ]);
});
