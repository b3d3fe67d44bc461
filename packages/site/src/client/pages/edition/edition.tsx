import { data, Link, redirect, useLoaderData } from 'react-router';
import {
  countPapers,
  type EditionKind,
  editions,
  families,
  feed,
  latestEdition,
  neighbours,
} from '../../../server/queries/papers.ts';
import { services } from '../../../server/services.ts';
import { daySchema, monthSchema, weekSchema } from '../../../shared/calendar.ts';
import { Cards } from '../../components/card.tsx';
import { counted, dateInWords, monthInWords } from '../../components/facts.tsx';
import { BehindTheLast, FeedLinks, FeedTabs, Pager, SearchForm } from '../../components/feeds.tsx';
import { cardsFor, readFeedQuery } from '../feed/load.ts';

const schemas = { date: daySchema, week: weekSchema, month: monthSchema } as const;

export async function loader({
  params,
  request,
}: {
  params: { kind?: string; edition?: string };
  request: Request;
}) {
  const kind = params.kind as EditionKind;
  if (!Object.hasOwn(editions, kind))
    throw data(`Nothing is at ${new URL(request.url).pathname}.`, { status: 404 });
  const { database, zone } = services();
  if (params.edition === 'latest')
    throw redirect(`/papers/${kind}/${await latestEdition(database, kind, zone)}`);
  const given = params.edition ?? '';
  const edition = schemas[kind].safeParse(given);
  if (!edition.success)
    throw data(`${kind} is ${given.slice(0, 100)}; allowed: ${edition.error.issues[0].message}.`, {
      status: 400,
    });
  const { page } = readFeedQuery(request);
  const days = editions[kind].daysOf(edition.data);
  const [found, total, beside, counts] = await Promise.all([
    feed(database, { days }, 'newest', page - 1),
    countPapers(database, { days }),
    neighbours(database, kind, days),
    families(database),
  ]);
  return {
    kind,
    edition: edition.data,
    days,
    zone,
    page,
    total,
    beside,
    families: counts,
    more: found.more,
    ...(await cardsFor(request, found.papers)),
  };
}

type Loaded = Awaited<ReturnType<typeof loader>>;

/** 20 April 2026, week 17 of 2026, April 2026. */
function inWords(kind: EditionKind, edition: string): string {
  if (kind === 'date') return dateInWords(edition);
  if (kind === 'month') return monthInWords(edition);
  const [year, week] = edition.split('-W');
  return `week ${Number(week)} of ${year}`;
}

export const meta = ({ loaderData }: { loaderData?: Loaded }) => [
  {
    title: loaderData
      ? `Papers of ${inWords(loaderData.kind, loaderData.edition)} · Saccade`
      : 'Papers · Saccade',
  },
];

export default function Edition() {
  const { kind, edition, days, zone, page, total, beside, families, more, papers } =
    useLoaderData<typeof loader>();
  const address = (other: string) => `/papers/${kind}/${other}`;
  const unit = kind === 'date' ? 'day' : kind;
  return (
    <div className="page">
      <h1>Papers of {inWords(kind, edition)}</h1>
      <FeedTabs shown={kind} />
      <nav className="beside" aria-label="Editions">
        {beside.before ? (
          <Link to={address(beside.before)} rel="prev">
            ← {inWords(kind, beside.before)}
          </Link>
        ) : (
          <span>no earlier {unit}</span>
        )}
        {beside.after ? (
          <Link to={address(beside.after)} rel="next">
            {inWords(kind, beside.after)} →
          </Link>
        ) : (
          <span>no later {unit}</span>
        )}
      </nav>
      <SearchForm families={families} />
      <p className="count">
        {counted(total, 'paper')}
        {kind !== 'date' && `, ${dateInWords(days.from)} to ${dateInWords(days.to)}`}; days are counted in{' '}
        {zone}
      </p>
      {total === 0 && (
        <p className="empty">
          No paper was listed on {kind === 'date' ? 'this day' : `a day of this ${kind}`}.
        </p>
      )}
      {total > 0 && papers.length === 0 && <BehindTheLast page={page} first={address(edition)} />}
      <Cards papers={papers} />
      {papers.length > 0 && (
        <Pager
          page={page}
          more={more}
          address={(next) => `${address(edition)}${next > 1 ? `?page=${next}` : ''}`}
        />
      )}
      <FeedLinks path={`${kind}/${edition}`} title={`Saccade: ${inWords(kind, edition)}`} />
    </div>
  );
}
