import { Form, Link, NavLink } from 'react-router';
import type { FeedQuery } from '../../shared/schemas.ts';

/** The feeds, with the one that is shown marked. */
export function FeedTabs({ shown }: { shown?: 'date' | 'week' | 'month' }) {
  return (
    <nav className="feed-tabs" aria-label="Feeds">
      <NavLink to="/" end>
        Newest
      </NavLink>
      {(['date', 'week', 'month'] as const).map((kind) => (
        <Link key={kind} to={`/papers/${kind}/latest`} aria-current={shown === kind ? 'page' : undefined}>
          {kind === 'date' ? 'Day' : kind === 'week' ? 'Week' : 'Month'}
        </Link>
      ))}
      <NavLink to="/papers/trending">Trending</NavLink>
      <NavLink to="/submit">Submit a paper</NavLink>
    </nav>
  );
}

/** Search over all papers. A plain form: it works without scripts. */
export function SearchForm({
  query = { q: '', family: '', runs: '' },
  families,
}: {
  query?: Pick<FeedQuery, 'q' | 'family' | 'runs'>;
  families: readonly { family: string; count: number }[];
}) {
  return (
    <Form method="get" action="/" role="search" className="search">
      <label htmlFor="search">Search</label>
      <input
        id="search"
        name="q"
        type="search"
        defaultValue={query.q}
        maxLength={250}
        placeholder="words, “a phrase”, -without, author:name, an arXiv id"
      />
      <label htmlFor="family">Family</label>
      <select className="family" id="family" name="family" defaultValue={query.family}>
        <option value="">all</option>
        {families.map(({ family, count }) => (
          <option key={family} value={family}>{`${family} (${count})`}</option>
        ))}
      </select>
      <label className="check">
        <input type="checkbox" name="runs" value="1" defaultChecked={query.runs === '1'} /> only those that
        run
      </label>
      <button type="submit">Search</button>
    </Form>
  );
}

/** Previous and next page of a feed; nothing where there is but one. */
export function Pager({
  page,
  more,
  address,
}: {
  page: number;
  more: boolean;
  address: (page: number) => string;
}) {
  if (page === 1 && !more) return null;
  return (
    <nav className="pager" aria-label="Pages">
      {page > 1 && (
        <Link to={address(page - 1)} rel="prev">
          Previous page
        </Link>
      )}
      <span>Page {page}</span>
      {more && (
        <Link to={address(page + 1)} rel="next">
          Next page
        </Link>
      )}
    </nav>
  );
}

/** In the place of papers, on a page behind the last one. */
export function BehindTheLast({ page, first }: { page: number; first: string }) {
  return (
    <p>
      There is no page {page}. <Link to={first}>Back to the first page</Link>
    </p>
  );
}

/** Where a feed can be had for feed readers, as links in the head of the page. */
export function FeedLinks({ path, title }: { path: string; title: string }) {
  const [base, query] = path.split('?');
  const address = (kind: string) => `/feeds/${base}.${kind}${query ? `?${query}` : ''}`;
  return (
    <>
      <link rel="alternate" type="application/atom+xml" title={title} href={address('atom')} />
      <link rel="alternate" type="application/rss+xml" title={title} href={address('rss')} />
      <link rel="alternate" type="application/feed+json" title={title} href={address('json')} />
      <p className="formats">
        As a feed: <a href={address('atom')}>Atom</a>, <a href={address('rss')}>RSS</a>,{' '}
        <a href={address('json')}>JSON</a>
      </p>
    </>
  );
}
