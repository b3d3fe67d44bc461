import { data, Form, Link, useLoaderData } from 'react-router';
import { families, feed } from '../../../server/queries/papers.ts';
import { countVerdicts } from '../../../server/queries/verdicts.ts';
import { votedFor } from '../../../server/queries/votes.ts';
import { services } from '../../../server/services.ts';
import { feedQuery } from '../../../shared/schemas.ts';
import { Facts } from '../../components/facts.tsx';
import { VerdictCounts } from '../../components/verdicts.tsx';
import { Vote } from '../../components/vote.tsx';
import { SaveSearch } from './save-search.tsx';

export const meta = () => [
  { title: 'Daily Papers · Saccade' },
  {
    name: 'description',
    content: 'Papers on attention, each with its mechanism running beside dense attention.',
  },
];

export async function loader({ request }: { request: Request }) {
  const given = Object.fromEntries(new URL(request.url).searchParams);
  const query = feedQuery.safeParse(given);
  if (!query.success) {
    const [{ path, message }] = query.error.issues;
    throw data(`${String(path[0])} is ${given[String(path[0])].slice(0, 200)}; allowed: ${message}.`, {
      status: 400,
    });
  }
  const { database, ledger, accounts } = services();
  const viewer = await accounts.viewer(request);
  const [papers, kinds] = await Promise.all([feed(database, query.data), families(database)]);
  const counts = countVerdicts(ledger.verdicts);
  const voted = viewer
    ? await votedFor(
        database,
        viewer.id,
        papers.map(({ slug }) => slug),
      )
    : new Set<string>();
  return {
    loggedIn: viewer !== undefined,
    query: query.data,
    kinds,
    papers: papers.map((paper) => ({
      ...paper,
      verdicts: counts.get(paper.slug) ?? {},
      voted: voted.has(paper.slug),
    })),
  };
}

export default function Feed() {
  const { loggedIn, query, kinds, papers } = useLoaderData<typeof loader>();
  const filtered = query.q !== '' || query.family !== '' || query.runs !== '';
  return (
    <div className="page">
      <h1>Daily Papers</h1>
      <p className="lede">
        Papers on attention. Those marked <span className="label runs">runs</span> can be tried here, beside
        dense attention, on your own machine.
      </p>
      <Form method="get" role="search" className="search">
        <label htmlFor="search">Search</label>
        <input
          id="search"
          name="q"
          type="search"
          defaultValue={query.q}
          maxLength={200}
          placeholder="words of title or summary, an arXiv id"
        />
        <label htmlFor="family">Family</label>
        <select className="family" id="family" name="family" defaultValue={query.family}>
          <option value="">all</option>
          {kinds.map(({ family, count }) => (
            <option key={family} value={family}>{`${family} (${count})`}</option>
          ))}
        </select>
        <label className="check">
          <input type="checkbox" name="runs" value="1" defaultChecked={query.runs === '1'} /> only those that
          run
        </label>
        <button type="submit">Search</button>
      </Form>
      <p className="count" role="status">
        {papers.length} {papers.length === 1 ? 'paper' : 'papers'}
        {filtered && (
          <>
            {' '}
            ·{' '}
            <Link to="/" reloadDocument>
              show all
            </Link>
          </>
        )}
      </p>
      {loggedIn && filtered && (
        <SaveSearch
          query={new URLSearchParams(given(query)).toString()}
          name={query.q || query.family || 'those that run'}
        />
      )}
      {papers.length === 0 && (
        <p>Nothing matches. Each word must stand in the title, the summary, the family or the arXiv id.</p>
      )}
      <ol className="feed">
        {papers.map((paper) => (
          <li key={paper.slug} className="card">
            <h2>
              <Link to={`/papers/${paper.slug}`}>{paper.title}</Link>
            </h2>
            <Facts paper={paper} />
            <p className="summary">{paper.summary}</p>
            <p className="labels">
              {paper.runs && <span className="label runs">runs</span>}
              <span className="label">{paper.family}</span>
            </p>
            <VerdictCounts counts={paper.verdicts} />
            <div className="reactions">
              <Vote slug={paper.slug} title={paper.title} upvotes={paper.upvotes} voted={paper.voted} />
              <Link to={`/papers/${paper.slug}#discussion`}>
                {paper.comments} {paper.comments === 1 ? 'comment' : 'comments'}
                <span className="hidden"> on {paper.title}</span>
              </Link>
            </div>
          </li>
        ))}
      </ol>
    </div>
  );
}

/** The fields that were filled. */
const given = (query: Record<string, string>) =>
  Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ''));
