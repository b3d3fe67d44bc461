import { data, redirect } from 'react-router';
import { answersTo } from '../../../server/queries/answers.ts';
import {
  ANSWERS_SIZE,
  cardsByNumber,
  countPapers,
  type FeedPage,
  feed,
  findPaper,
} from '../../../server/queries/papers.ts';
import { votedFor } from '../../../server/queries/votes.ts';
import { parseQuestion } from '../../../server/search/parse.ts';
import { MOST_ANSWERS } from '../../../server/search/search.ts';
import { services } from '../../../server/services.ts';
import { type FeedQuery, feedQuery, type PaperView } from '../../../shared/schemas.ts';
import type { CardPaper } from '../../components/card.tsx';

/**
 * What the address of a feed asks for.
 * @throws a 400 response that names the parameter, what was given and what is allowed
 */
export function readFeedQuery(request: Request): FeedQuery {
  const given = Object.fromEntries(new URL(request.url).searchParams);
  const query = feedQuery.safeParse(given);
  if (query.success) return query.data;
  const [{ path, message }] = query.error.issues;
  throw data(`${String(path[0])} is ${given[String(path[0])].slice(0, 200)}; allowed: ${message}.`, {
    status: 400,
  });
}

/** What the cards of these papers need beside them: their verdicts counted, and what this reader voted for. */
export async function cardsFor(
  request: Request,
  papers: readonly PaperView[],
): Promise<{ loggedIn: boolean; papers: CardPaper[] }> {
  const { database, ledger, accounts } = services();
  const viewer = await accounts.viewer(request);
  const slugs = papers.map(({ slug }) => slug);
  const voted = viewer ? await votedFor(database, viewer.id, slugs) : new Set<string>();
  const { counts } = await ledger.read();
  return {
    loggedIn: viewer !== undefined,
    papers: papers.map((paper) => ({
      ...paper,
      verdicts: counts.get(paper.slug) ?? {},
      voted: voted.has(paper.slug),
    })),
  };
}

export interface LoadedFeed extends FeedPage {
  /** Over all pages; null where nothing is asked for, and nobody waits for the number of all papers. */
  total: number | null;
  /** More match than are ranked. */
  cut: boolean;
  /** An arXiv id that was asked for and is not here. */
  missing?: string;
}

/** The newest papers, or the answers to a question with the best first. An arXiv id leads to its page. */
export async function loadFeed(query: FeedQuery): Promise<LoadedFeed> {
  const { database } = services();
  const { q, family, runs, page } = query;
  if (q === '') {
    const filter = { family, runs: runs === '1' };
    const [found, total] = await Promise.all([
      feed(database, filter, 'newest', page - 1),
      family !== '' || runs !== '' ? countPapers(database, filter) : null,
    ]);
    return { ...found, total, cut: false };
  }
  const { jump } = parseQuestion(q);
  if (jump) {
    const paper = await findPaper(database, { arxiv: jump.id });
    if (paper) throw redirect(`/papers/${paper.slug}`);
    return { papers: [], more: false, total: 0, cut: false, missing: jump.id };
  }
  const numbers = await answersTo(database, query);
  const from = (page - 1) * ANSWERS_SIZE;
  return {
    papers: await cardsByNumber(database, numbers.slice(from, from + ANSWERS_SIZE)),
    more: numbers.length > from + ANSWERS_SIZE,
    total: numbers.length,
    cut: numbers.length === MOST_ANSWERS,
  };
}
