import type { Database } from '../database.ts';
import { parseArxivAtom } from './arxiv-atom.ts';
import { type PoliteOptions, politeClient } from './client.ts';
import { type ImportedPaper, SourceError } from './record.ts';

/** Somebody waits for the answer, so it is asked for once and not for long. */
const WITHIN_MS = 12_000;

/** Asks arXiv for one paper; without one it knows none of that id. `away` says why it could not be asked. */
export type LookUp = (arxiv: string) => Promise<{ paper?: ImportedPaper } | { away: string }>;

/**
 * Papers of arXiv by id, through the client that all imports share.
 * @param options for the client, or what takes its place
 */
export function arxivLookUp(
  database: Database,
  options: PoliteOptions & { fetchText?: (url: string) => Promise<string> } = {},
): LookUp {
  return async (arxiv) => {
    const signal = AbortSignal.timeout(WITHIN_MS);
    const fetchText =
      options.fetchText ?? politeClient(database, { tries: 1, timeoutMs: 8000, ...options, signal });
    const parameters = new URLSearchParams({ id_list: arxiv, max_results: '1' });
    try {
      const { papers } = parseArxivAtom(await fetchText(`https://export.arxiv.org/api/query?${parameters}`));
      return { paper: papers.find((paper) => paper.arxiv === arxiv) };
    } catch (error) {
      if (signal.aborted) return { away: 'arXiv did not answer in time' };
      if (error instanceof SourceError) return { away: error.message };
      throw error;
    }
  };
}
