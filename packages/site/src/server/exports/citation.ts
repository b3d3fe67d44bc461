import { plainText } from '../../shared/latex.ts';
import type { PaperDetail } from '../../shared/schemas.ts';
import { folded } from '../search/tokens.ts';
import { type PersonName, splitName } from './names.ts';

/** What every export of a paper says, whatever its format. */
export interface Citation {
  /** Surname, year, first word of weight: hassani2024faster. */
  key: string;
  title: string;
  authors: readonly (PersonName & { whole: string })[];
  year: number | null;
  /** 1 to 12. */
  month: number | null;
  day: number | null;
  arxiv: string | null;
  /** The first of the paper's arXiv categories, its primary one. */
  category: string | null;
  doi: string | null;
  journal: string | null;
  abstract: string | null;
  url: string | null;
}

/** The facts of a paper for reference managers. What is not known is null or empty, and is left out of the exports. */
export function citationOf(paper: PaperDetail): Citation {
  const title = plainText(paper.title);
  const authors = (paper.authors ?? []).map((name) => {
    const whole = plainText(name);
    return { ...splitName(whole), whole };
  });
  const date = dateOf(paper);
  const word = folded(title)
    .split(' ')
    .find((one) => one.length > 3 && !/^(with|from|into|over|that|this|what|when|your|towards?)$/.test(one));
  const surname = authors[0] ? folded(authors[0].family).replace(/ /g, '') : '';
  const key = surname ? `${surname}${date.year ?? ''}${word ?? ''}` : paper.slug.replace(/-/g, '');
  return {
    key: /[a-z]/.test(key) ? key : `paper${key}`,
    title,
    authors,
    ...date,
    arxiv: paper.arxiv,
    category: paper.categories[0] ?? null,
    doi: paper.doi,
    journal: paper.journal,
    abstract: paper.abstract && plainText(paper.abstract),
    url: paper.arxiv
      ? `https://arxiv.org/abs/${paper.arxiv}`
      : paper.doi
        ? `https://doi.org/${paper.doi}`
        : (paper.links[0] ?? null),
  };
}

/** The day of the first version; where only the arXiv id is known, the month that is in it. Never the day of listing. */
function dateOf({ publishedAt, arxiv }: PaperDetail): Pick<Citation, 'year' | 'month' | 'day'> {
  if (publishedAt) {
    const [year, month, day] = publishedAt.slice(0, 10).split('-').map(Number);
    return { year, month, day };
  }
  const [, yy, mm] = /(?:^|\/)(\d{2})(\d{2})/.exec(arxiv ?? '') ?? [];
  if (!yy) return { year: null, month: null, day: null };
  return { year: Number(yy) + (Number(yy) > 90 ? 1900 : 2000), month: Number(mm), day: null };
}
