import { describe, expect, test } from 'vitest';
import { catalogue, findPaper } from './catalogue.ts';
import { papers } from './index.ts';

describe('the catalogue', () => {
  test('has 41 papers, each slug and arXiv id once', () => {
    expect(catalogue).toHaveLength(41);
    expect(new Set(catalogue.map(({ slug }) => slug)).size).toBe(41);
    const ids = catalogue.map(({ arxiv }) => arxiv).filter((id) => id !== null);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('keeps unknown facts unknown', () => {
    const undated = catalogue.filter(({ listedOn }) => listedOn === null).map(({ slug }) => slug);
    expect(undated.sort()).toEqual(['flux-attention', 'hisa', 'softmax-rnn']);
    for (const slug of undated) expect(findPaper(slug)?.authorCount).toBeNull();
  });

  test.each(catalogue.map((paper) => [paper.slug, paper.summary]))(
    '%s is told in two or three sentences',
    (_, summary) => {
      const sentences = summary.split(/[.;]\s+|\.$/).filter(Boolean).length;
      expect(sentences).toBeGreaterThanOrEqual(2);
      expect(summary.match(/\.(?=\s|$)/g)?.length).toBeLessThanOrEqual(3);
    },
  );

  test('knows every paper that runs', () => {
    for (const { slug } of papers) expect(findPaper(slug), slug).toBeDefined();
  });

  test('has nothing under a name that is not a slug', () => {
    expect(findPaper('toString')).toBeUndefined();
    expect(findPaper('')).toBeUndefined();
  });
});
