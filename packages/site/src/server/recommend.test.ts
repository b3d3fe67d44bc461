import { catalogue } from '@saccade/papers';
import { expect, test } from 'vitest';
import { recommend, vectorise } from './recommend.ts';

const corpus = vectorise(
  catalogue.map(({ slug, title, summary }) => ({ slug, text: `${title} ${title} ${summary}` })),
);

test('a vector has length 1, and words of one paper or of most are no terms', () => {
  for (const vector of corpus.vectors)
    expect(Math.hypot(...vector.map(([, weight]) => weight))).toBeCloseTo(1, 12);
  expect(corpus.words).not.toContain('attention');
});

test('the one of a family that is not tagged is mostly among the first five', () => {
  const families = [...Map.groupBy(catalogue, ({ family }) => family).values()].filter(
    ({ length }) => length >= 4,
  );
  const ranks = families.flatMap((members) =>
    members.map(({ slug: left }) => {
      const tagged = new Set(members.map(({ slug }) => slug).filter((slug) => slug !== left));
      const found = recommend(corpus, tagged, 50).map(({ slug }) => slug);
      expect(found.some((slug) => tagged.has(slug))).toBe(false);
      return found.indexOf(left) + 1;
    }),
  );
  // Chance would find one in seven.
  expect(ranks.filter((rank) => rank <= 5).length / ranks.length).toBeGreaterThan(0.6);
});

test('says why, is the same every time, and tells nothing of nothing', () => {
  const tagged = new Set(['fna', 'gna']);
  const found = recommend(corpus, tagged, 3);
  expect(found).toEqual(recommend(corpus, tagged, 3));
  for (const { because, score } of found) {
    expect(because.length).toBeGreaterThan(0);
    expect(Number.isFinite(score)).toBe(true);
  }
  expect(recommend(corpus, new Set(['unheard-of']))).toEqual([]);
  expect(recommend(vectorise([{ slug: 'a', text: 'one' }]), new Set(['a']))).toEqual([]);
});

test('20,000 papers are learned from in seconds', () => {
  const many = vectorise(
    Array.from({ length: 20_000 }, (_, index) => {
      const { slug, title, summary } = catalogue[index % catalogue.length];
      return { slug: `${slug}-${index}`, text: `${title} ${summary} word${index % 997}` };
    }),
  );
  const began = performance.now();
  expect(recommend(many, new Set(many.slugs.slice(0, 20)))).toHaveLength(10);
  expect(performance.now() - began).toBeLessThan(20_000);
});
