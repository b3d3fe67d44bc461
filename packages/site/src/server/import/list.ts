import { parseArxivId } from '../../shared/arxiv-id.ts';
import type { Problem } from './record.ts';

/** The arXiv ids of a pasted list: ids and addresses, one a line or parted by commas or spaces. `#` begins a remark. */
export function parseList(text: string): { ids: string[]; problems: Problem[] } {
  const ids = new Set<string>();
  const problems: Problem[] = [];
  text.split(/\r?\n/).forEach((line, at) => {
    for (const piece of line
      .replace(/(^|\s)#.*$/, '')
      .replace(/arxiv:\s+/gi, 'arXiv:')
      .split(/[\s,;]+/)) {
      if (piece === '') continue;
      const arxiv = parseArxivId(piece.replace(/[.)\]]+$/, (end) => (/\.pdf$/.test(piece) ? end : '')));
      if (arxiv) ids.add(arxiv.id);
      else problems.push({ where: `line ${at + 1}`, message: `${piece.slice(0, 60)} is no arXiv id` });
    }
  });
  return { ids: [...ids], problems };
}
