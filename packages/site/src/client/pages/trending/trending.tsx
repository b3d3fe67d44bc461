import { useLoaderData } from 'react-router';
import { HALF_LIFE_HOURS, weights } from '../../../server/queries/counts.ts';
import { families, feed } from '../../../server/queries/papers.ts';
import { services } from '../../../server/services.ts';
import { Cards } from '../../components/card.tsx';
import { BehindTheLast, FeedLinks, FeedTabs, Pager, SearchForm } from '../../components/feeds.tsx';
import { cardsFor, readFeedQuery } from '../feed/load.ts';

export const meta = () => [
  { title: 'Trending papers · Saccade' },
  {
    name: 'description',
    content: 'Papers by recent votes and discussion, by a formula that is written on the page.',
  },
];

export async function loader({ request }: { request: Request }) {
  const { page } = readFeedQuery(request);
  const [found, counts] = await Promise.all([
    feed(services().database, {}, 'trending', page - 1),
    families(services().database),
  ]);
  // the numbers of the text come from the code that ranks
  return {
    page,
    more: found.more,
    families: counts,
    ...(await cardsFor(request, found.papers)),
    weights,
    hours: HALF_LIFE_HOURS,
  };
}

export default function Trending() {
  const { page, more, families, papers, weights: weight, hours } = useLoaderData<typeof loader>();
  return (
    <div className="page">
      <h1>Trending papers</h1>
      <FeedTabs />
      <SearchForm families={families} />
      <details className="formula">
        <summary>How this order is made</summary>
        <p>
          Each paper has a number, and the largest comes first:{' '}
          <code>log2 Σ weight · 2^(hours / {hours})</code>, where hours are counted from 1 January 2024 to the
          moment of each vote. A vote weighs {weight.vote}, each reader who comments {weight.commenter}, and
          being listed {weight.listing}: so ten votes count as much as five votes {hours} hours later, and a
          paper without votes is as high as it is new. Votes of bots and of whoever submitted the paper count
          nothing. Equal papers are in the order of their names.
        </p>
      </details>
      {papers.length === 0 &&
        (page > 1 ? <BehindTheLast page={page} first="/papers/trending" /> : <p>No paper is here yet.</p>)}
      <Cards papers={papers} />
      {papers.length > 0 && (
        <Pager
          page={page}
          more={more}
          address={(next) => `/papers/trending${next > 1 ? `?page=${next}` : ''}`}
        />
      )}
      <FeedLinks path="trending" title="Saccade: trending papers" />
    </div>
  );
}
