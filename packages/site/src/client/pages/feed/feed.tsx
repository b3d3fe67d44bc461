import { Link, useLoaderData } from 'react-router';
import { families } from '../../../server/queries/papers.ts';
import { services } from '../../../server/services.ts';
import { Cards } from '../../components/card.tsx';
import { counted } from '../../components/facts.tsx';
import { BehindTheLast, FeedLinks, FeedTabs, Pager, SearchForm } from '../../components/feeds.tsx';
import { cardsFor, loadFeed, readFeedQuery } from './load.ts';
import { SaveSearch } from './save-search.tsx';

export const meta = () => [
  { title: 'Daily Papers · Saccade' },
  {
    name: 'description',
    content: 'Papers on attention, each with its mechanism running beside dense attention.',
  },
];

export async function loader({ request }: { request: Request }) {
  const query = readFeedQuery(request);
  const [found, counts] = await Promise.all([loadFeed(query), families(services().database)]);
  return { ...found, query, families: counts, ...(await cardsFor(request, found.papers)) };
}

export default function Feed() {
  const { loggedIn, query, families, papers, more, total, cut, missing } = useLoaderData<typeof loader>();
  const filtered = query.q !== '' || query.family !== '' || query.runs !== '';
  const address = (page: number) => {
    const search = new URLSearchParams();
    for (const name of ['q', 'family', 'runs'] as const) if (query[name]) search.set(name, query[name]);
    if (page > 1) search.set('page', String(page));
    return `/?${search}`;
  };
  return (
    <div className="page">
      <h1>Daily Papers</h1>
      <p className="lede">
        Papers on attention. Those marked <span className="label runs">runs</span> can be tried here, beside
        dense attention, on your own machine.
      </p>
      <FeedTabs />
      <SearchForm query={query} families={families} />
      <p className="count" role="status">
        {total !== null && `${cut ? 'the best ' : ''}${counted(total, 'paper')}`}
        {filtered && (
          <>
            {total !== null && ' · '}
            <Link to="/" reloadDocument>
              show all
            </Link>
          </>
        )}
      </p>
      {loggedIn && filtered && (
        <SaveSearch query={address(1).slice(2)} name={query.q || query.family || 'those that run'} />
      )}
      {missing && (
        <p>
          <a href={`https://arxiv.org/abs/${missing}`} rel="noopener">
            arXiv {missing}
          </a>{' '}
          is not among the papers here. <Link to={`/submit?paper=${missing}`}>Submit it</Link>
        </p>
      )}
      {papers.length === 0 &&
        !missing &&
        (query.page > 1 ? (
          <BehindTheLast page={query.page} first={address(1)} />
        ) : filtered ? (
          <p>
            Nothing matches. A phrase in quotes must stand as it is, author: and family: must fit; of other
            words any may match.
          </p>
        ) : (
          <p>No paper is here yet.</p>
        ))}
      <Cards papers={papers} />
      {papers.length > 0 && <Pager page={query.page} more={more} address={address} />}
      <FeedLinks
        path={query.q === '' ? 'newest' : `search?${new URLSearchParams({ q: query.q })}`}
        title={query.q === '' ? 'Saccade: newest papers' : `Saccade: ${query.q}`}
      />
    </div>
  );
}
