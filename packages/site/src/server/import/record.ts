/** A paper as a source tells it. null: the source does not say. Texts are as given, with LaTeX, on one line. */
export interface ImportedPaper {
  source: 'arxiv' | 'huggingface' | 'bibtex' | 'reader';
  /** arXiv id without version. */
  arxiv: string | null;
  version: number | null;
  title: string;
  authors: readonly string[] | null;
  abstract: string | null;
  abstractSource: string | null;
  abstractLicence: string | null;
  /** Instants as ISO 8601. */
  publishedAt: string | null;
  revisedAt: string | null;
  withdrawnAt: string | null;
  /** When it was put on a list of papers; null where the source is no such list. */
  listedAt: string | null;
  categories: readonly string[];
  doi: string | null;
  journal: string | null;
  links: readonly string[];
}

/** Something in a source that could not be read; the rest of it is imported all the same. */
export interface Problem {
  /** Which row, entry or line, in words. */
  where: string;
  message: string;
}

/** What a page or a file of a source holds. */
export interface Parsed {
  papers: ImportedPaper[];
  problems: Problem[];
}

/** The whole source is not what it should be; nothing of it is imported. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

/** arXiv's terms of use put its metadata, abstracts among them, under CC0; the papers themselves are not. */
export const ARXIV_LICENCE = 'CC0 1.0 (arXiv metadata)';

/** One line without control signs, or null where nothing is left. */
export function oneLine(text: unknown): string | null {
  if (typeof text !== 'string' && typeof text !== 'number') return null;
  const line = String(text)
    .toWellFormed()
    .normalize('NFC')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  return line === '' ? null : line;
}

/** An instant in ISO 8601, or null where the text is none. */
export function instantOf(text: unknown): string | null {
  if (typeof text !== 'string' || text.trim() === '') return null;
  const time = new Date(text.trim());
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}

/** Has the paper been withdrawn, by what its comment or its abstract says? */
export const saysWithdrawn = (comment: string | null, abstract: string | null): boolean =>
  /\bwithdrawn\b/i.test(comment ?? '') ||
  /^(this|the) (paper|article|submission|manuscript) (has been|was|is) withdrawn\b/i.test(abstract ?? '');
