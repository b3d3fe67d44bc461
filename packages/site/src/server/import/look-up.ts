import type { Database } from '../database.ts';
import { parseArxivAtom } from './arxiv-atom.ts';
import { type PoliteOptions, politeClient } from './client.ts';
import { type ImportedPaper, SourceError } from './record.ts';

/** Somebody waits for the answer, so it is asked for once and not for long. */
const WITHIN_MS = 12_000;

/** Asks arXiv for one paper. Throws SourceError where it cannot be asked; undefined: it knows no such paper. */
export type LookUp = (arxiv: string) => Promise<ImportedPaper | undefined>;

/** Papers of arXiv by id, through the client that all imports share. */
export function arxivLookUp(database: Database, options: PoliteOptions = {}): LookUp {
  return async (arxiv) => {
    const signal = AbortSignal.timeout(WITHIN_MS);
    const fetchText = politeClient(database, { tries: 1, timeoutMs: 8000, ...options, signal });
    const parameters = new URLSearchParams({ id_list: arxiv, max_results: '1' });
    try {
      const { papers } = parseArxivAtom(await fetchText(`https://export.arxiv.org/api/query?${parameters}`));
      return papers.find((paper) => paper.arxiv === arxiv);
    } catch (error) {
      if (signal.aborted) throw new SourceError('arXiv did not answer in time');
      throw error;
    }
  };
}
