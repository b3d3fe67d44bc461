import { plainText } from '../../shared/latex.ts';

/** Rows for a page, which shows titles without LaTeX: stored they are as their source has them. */
export async function withPlainTitles<Row extends { title: string }>(rows: Promise<Row[]>): Promise<Row[]> {
  return (await rows).map((row) => ({ ...row, title: plainText(row.title) }));
}
