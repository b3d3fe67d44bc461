import { Form, Link, useActionData, useLoaderData } from 'react-router';
import { type ActionError, viewerOf } from '../../../server/act.ts';
import { libraryAction } from '../../../server/actions/library.ts';
import { answerFrom } from '../../../server/queries/answers.ts';
import { libraryOf, taggedBy, tagsOf } from '../../../server/queries/library.ts';
import { titlesOf } from '../../../server/queries/papers.ts';
import { newFor, searchesOf } from '../../../server/queries/searches.ts';
import { recommend } from '../../../server/recommend.ts';
import { services } from '../../../server/services.ts';
import { type ReadState, readStates } from '../../../shared/social.ts';
import { Refusal } from '../../components/answers.tsx';
import { BehindTheLast, Pager } from '../../components/feeds.tsx';
import { actionHeaders } from '../../headers.ts';
import { readFeedQuery } from '../feed/load.ts';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Library · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { id } = await viewerOf(request);
  const { database, corpus } = services();
  const { searchParams } = new URL(request.url);
  const tag = searchParams.get('tag')?.slice(0, 40).replaceAll('\0', '') || undefined;
  const state = readStates.find((known) => known !== 'none' && known === searchParams.get('state'));
  const { page } = readFeedQuery(request);
  const [{ papers, more }, tags, searches] = await Promise.all([
    libraryOf(database, id, { tag, state }, page - 1),
    tagsOf(database, id),
    searchesOf(database, id),
  ]);
  const like = tag ? recommend(await corpus(), await taggedBy(database, id, tag), 5) : [];
  const fresh = await Promise.all(searches.map((search) => newFor(database, search, answerFrom(database))));
  const titles = await titlesOf(database, [...like.map(({ slug }) => slug), ...fresh.flat()]);
  const titled = (slug: string) => ({ slug, title: titles.get(slug) ?? slug });
  return {
    tag,
    state,
    page,
    more,
    tags,
    papers: papers.map((paper) => ({ ...paper, changedAt: paper.changedAt.toISOString() })),
    recommended: like.map(({ slug, because }) => ({ ...titled(slug), because })),
    searches: searches.map((search, index) => ({
      ...search,
      fresh: fresh[index].slice(0, 20).map(titled),
      count: fresh[index].length,
    })),
  };
}

export const action = ({ request }: { request: Request }) => libraryAction(request);

export default function Library() {
  const { tag, state, page, more, tags, papers, recommended, searches } = useLoaderData<typeof loader>();
  const refused = useActionData<Partial<ActionError>>();
  const address = (to: number) => {
    const search = new URLSearchParams();
    if (state) search.set('state', state);
    if (tag) search.set('tag', tag);
    if (to > 1) search.set('page', String(to));
    return `/library?${search}`;
  };
  return (
    <div className="page">
      <h1>Library</h1>
      <Refusal error={refused?.error} />
      <nav className="tabs" aria-label="What of the library">
        <Part current={!tag && !state} to="/library">
          everything
        </Part>
        {(['to read', 'reading', 'read'] satisfies ReadState[]).map((option) => (
          <Part key={option} current={state === option} to={`/library?state=${encodeURIComponent(option)}`}>
            {option}
          </Part>
        ))}
        {tags.map((one) => (
          <Part key={one.tag} current={tag === one.tag} to={`/library?tag=${encodeURIComponent(one.tag)}`}>
            #{one.tag} ({one.count})
          </Part>
        ))}
      </nav>
      {papers.length === 0 &&
        (page > 1 ? (
          <BehindTheLast page={page} first={address(1)} />
        ) : (
          <p>Nothing is kept here yet. “Keep in your library” is on every paper’s page.</p>
        ))}
      <ul className="comments">
        {papers.map((paper) => (
          <li key={paper.slug} className="comment">
            <Link to={`/papers/${paper.slug}`}>{paper.title}</Link>
            <p className="facts">
              {paper.bookmarked && <span>bookmarked</span>}
              {paper.state !== 'none' && <span>{paper.state}</span>}
              {paper.tags.map((one) => (
                <span key={one} className="label">
                  {one}
                </span>
              ))}
            </p>
            {paper.note && <p className="quiet note">{paper.note}</p>}
          </li>
        ))}
      </ul>
      {papers.length > 0 && <Pager page={page} more={more} address={address} />}
      {tag && (
        <section aria-labelledby="like">
          <h2 id="like">More like #{tag}</h2>
          {recommended.length === 0 && <p className="quiet">Nothing else is here.</p>}
          <ol>
            {recommended.map(({ slug, title, because }) => (
              <li key={slug}>
                <Link to={`/papers/${slug}`}>{title}</Link>
                {because.length > 0 && <p className="quiet">for its words {because.join(', ')}</p>}
              </li>
            ))}
          </ol>
          <p className="quiet">
            Learned from the words of titles and summaries that you tagged, on this server alone.
          </p>
        </section>
      )}
      <section aria-labelledby="searches">
        <h2 id="searches">Saved searches</h2>
        {searches.length === 0 && (
          <p className="quiet">None yet. Search the papers, and save the search there.</p>
        )}
        {searches.length > 0 && (
          <p className="quiet">
            What is new is told once: here until you have seen it, or before that in your{' '}
            <Link to="/subscribe">papers by mail</Link>, if they go to this account’s address.
          </p>
        )}
        <ul className="comments">
          {searches.map(({ id, name, query, fresh, count }) => (
            <li key={id} className="comment">
              <Link to={`/?${query}`}>{name}</Link>{' '}
              <span className="quiet">{count === 0 ? 'nothing new' : `${count} new`}</span>
              <ul>
                {fresh.map(({ slug, title }) => (
                  <li key={slug}>
                    <Link to={`/papers/${slug}`}>{title}</Link>
                  </li>
                ))}
              </ul>
              <div className="deeds">
                {count > 0 && (
                  <Form method="post">
                    <input type="hidden" name="intent" value="seen" />
                    <input type="hidden" name="search" value={id} />
                    <button type="submit">Seen</button>
                  </Form>
                )}
                <Form method="post">
                  <input type="hidden" name="intent" value="forget" />
                  <input type="hidden" name="search" value={id} />
                  <button type="submit">Forget {name}</button>
                </Form>
              </div>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}

function Part({ current, to, children }: { current: boolean; to: string; children: React.ReactNode }) {
  return (
    <Link to={to} aria-current={current ? 'page' : undefined}>
      {children}
    </Link>
  );
}
