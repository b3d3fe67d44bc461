import { findRunnable } from '@saccade/papers';
import { data, Link, redirect, useLoaderData } from 'react-router';
import { mayActAs } from '../../../server/accounts/accounts.ts';
import { paperAction } from '../../../server/actions/paper.ts';
import { citationOf } from '../../../server/exports/citation.ts';
import { bibtexOf, citationTags } from '../../../server/exports/formats.ts';
import { authorsHere } from '../../../server/queries/authorships.ts';
import { listComments } from '../../../server/queries/comments.ts';
import { keepingOf } from '../../../server/queries/library.ts';
import { findPaper } from '../../../server/queries/papers.ts';
import { votedFor } from '../../../server/queries/votes.ts';
import { similarPapers } from '../../../server/search/similar.ts';
import { services } from '../../../server/services.ts';
import { allWorkers } from '../../../server/workers/workers.ts';
import { parseArxivId } from '../../../shared/arxiv-id.ts';
import { slugSchema } from '../../../shared/schemas.ts';
import { counted, dateInWords, Facts } from '../../components/facts.tsx';
import { LedgerTable, OpenClaims } from '../../components/verdicts.tsx';
import { Vote } from '../../components/vote.tsx';
import { actionHeaders } from '../../headers.ts';
import { Again } from './again.tsx';
import { Authorship } from './authorship.tsx';
import { Discussion } from './discussion.tsx';
import { Keep } from './keep.tsx';
import { LabMount } from './lab-mount.tsx';
import { Similar } from './similar.tsx';
import { snippet } from './snippet.ts';

export async function loader({ request, params }: { request: Request; params: { slug?: string } }) {
  const given = params.slug ?? '';
  const { database, ledger, accounts } = services();
  const arxiv = parseArxivId(given);
  if (arxiv) {
    const meant = await findPaper(database, { arxiv: arxiv.id });
    if (meant) throw redirect(`/papers/${meant.slug}`);
  }
  const paper = slugSchema.safeParse(given).success ? await findPaper(database, { slug: given }) : undefined;
  if (!paper) throw data(`There is no paper ${given.slice(0, 100)}.`, { status: 404 });
  const citation = citationOf(paper);
  const viewer = await accounts.viewer(request);
  const runnable = findRunnable(paper.slug);
  const verdicts = (await ledger.read()).verdicts.filter((verdict) => verdict.slug === paper.slug);
  const measured = new Set(verdicts.map(({ id }) => id));
  const claims = runnable ? await runnable.claims() : [];
  return {
    paper: {
      ...paper,
      title: citation.title,
      abstract: citation.abstract,
      authors: citation.authors.map(({ whole }) => whole),
    },
    bibtex: bibtexOf(citation),
    tags: citationTags(citation),
    similar: await similarPapers(database, paper.number),
    voted: viewer ? (await votedFor(database, viewer.id, [paper.slug])).has(paper.slug) : false,
    discussion: {
      slug: paper.slug,
      viewer: viewer?.name,
      comments: await listComments(database, paper.slug, viewer),
      reported: new URL(request.url).searchParams.get('reported') ?? undefined,
    },
    authorsHere: await authorsHere(database, paper.slug),
    keeping: viewer && (await keepingOf(database, viewer.id, paper.slug)),
    verdicts,
    known: new URL(request.url).searchParams.has('known'),
    // Only who may queue a measurement learns which machines there are.
    workers: mayActAs(viewer, 'curator')
      ? Object.fromEntries(
          (await allWorkers(database))
            .filter(({ revokedAt }) => !revokedAt)
            .map(({ id, name }) => [name, id]),
        )
      : undefined,
    open: claims
      .filter(({ id }) => !measured.has(id))
      .map((claim) => ({
        id: claim.id,
        states: claim.states,
        where: claim.where,
        verdict: claim.check === 'none' ? claim.verdict : ('not yet measured' as const),
        how: claim.check === 'none' ? claim.reason : claim.how,
      })),
    method: runnable && {
      idea: runnable.idea,
      reconstructed: runnable.reconstructed,
      limits: runnable.limits,
      code: snippet(paper.slug),
    },
  };
}

export function action({ request, params }: { request: Request; params: { slug?: string } }) {
  const slug = slugSchema.safeParse(params.slug);
  if (!slug.success) throw data(`There is no paper ${String(params.slug).slice(0, 100)}.`, { status: 404 });
  return paperAction(request, slug.data);
}

export const headers = actionHeaders;

export const meta = ({ loaderData }: { loaderData?: Awaited<ReturnType<typeof loader>> }) => [
  { title: `${loaderData?.paper.title ?? 'Paper'} · Saccade` },
  {
    name: 'description',
    content: loaderData?.paper.summary ?? loaderData?.paper.abstract?.slice(0, 300) ?? '',
  },
  ...(loaderData?.tags ?? []),
];

export default function Paper() {
  const {
    paper,
    bibtex,
    similar,
    voted,
    discussion,
    authorsHere,
    keeping,
    verdicts,
    workers,
    known,
    open,
    method,
  } = useLoaderData<typeof loader>();
  return (
    <article className="page wide">
      <header className="paper-header">
        {known && <p role="status">This paper is here already.</p>}
        <h1>{paper.title}</h1>
        <Facts paper={paper} />
        <p className="labels">
          {paper.runs && <span className="label runs">runs</span>}
          {paper.family && <span className="label">{paper.family}</span>}
          {paper.withdrawnAt && <span className="label">withdrawn {dateInWords(paper.withdrawnAt)}</span>}
        </p>
        <Authors names={paper.authors} />
        {paper.summary && <p className="summary prose">{paper.summary}</p>}
        {paper.abstract && (
          <details className="abstract prose" open={paper.summary === null}>
            <summary>Abstract</summary>
            <p>{paper.abstract}</p>
            <p className="where">
              As the authors wrote it{paper.abstractSource && `; from ${paper.abstractSource}`}
              {paper.abstractLicence && `, ${paper.abstractLicence}`}
            </p>
          </details>
        )}
        <p className="links">
          {paper.arxiv && (
            <a className="link" href={`https://arxiv.org/abs/${paper.arxiv}`} rel="noopener">
              arXiv {paper.arxiv}
            </a>
          )}
          {paper.links.map((link) => (
            <a className="link" key={link} href={link} rel="noopener">
              {link.replace(/^https?:\/\/(www\.)?/, '')}
            </a>
          ))}
        </p>
        <div className="reactions">
          <Vote slug={paper.slug} title={paper.title} upvotes={paper.upvotes} voted={voted} />
          <a href="#discussion">{counted(paper.comments, 'comment')}</a>
        </div>
        {keeping && <Keep keeping={keeping} />}
        <Authorship slug={paper.slug} authors={authorsHere} viewer={discussion.viewer} />
      </header>
      {method ? (
        <div>
          {/* no region of its own: the lab is one, by the same name */}
          <h2 id="lab">Lab</h2>
          <p>{method.idea}</p>
          <LabMount slug={paper.slug} />
          <p>
            <Link to={`/compare?papers=${paper.slug}`}>Compare it with other mechanisms</Link> on the same
            input.
          </p>
        </div>
      ) : (
        <p className="notice">
          This paper does not run here yet: it is listed with its facts
          {paper.summary ? ' and our summary' : paper.abstract ? ' and its abstract' : ''} only.
        </p>
      )}
      {(verdicts.length > 0 || open.length > 0) && (
        <section aria-labelledby="ledger-title">
          <h2 id="ledger-title">Ledger</h2>
          {verdicts.length > 0 && (
            <LedgerTable
              verdicts={verdicts}
              caption="What the paper reports, and what was measured here"
              again={(row) => <Again row={row} hasLab={method !== undefined} workers={workers} />}
            />
          )}
          {open.length > 0 && (
            <>
              <OpenClaims
                claims={open}
                caption={
                  verdicts.length > 0
                    ? 'Without a stored measurement'
                    : 'What the paper reports; nothing is measured yet'
                }
              />
              <p>
                <code>npx saccade check {paper.slug}</code> measures on this machine.
              </p>
            </>
          )}
        </section>
      )}
      {method && (
        <section aria-labelledby="code-title" className="prose">
          <h2 id="code-title">In code</h2>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
          <pre tabIndex={0}>
            <code>{method.code}</code>
          </pre>
          {method.reconstructed.length > 0 && (
            <>
              <h2>Reconstructed by us</h2>
              <ul>
                {method.reconstructed.map((line) => (
                  <li key={line}>{line}</li>
                ))}
              </ul>
            </>
          )}
          {method.limits.length > 0 && (
            <>
              <h2>What is not here</h2>
              <ul>
                {method.limits.map((line) => (
                  <li key={line}>{line}</li>
                ))}
              </ul>
            </>
          )}
        </section>
      )}
      <section aria-labelledby="cite-title" className="prose">
        <h2 id="cite-title">Cite</h2>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
        <pre tabIndex={0}>
          <code>{bibtex}</code>
        </pre>
        <p className="formats">
          As a file:{' '}
          <a href={`/papers/${paper.slug}.bib`} download>
            BibTeX
          </a>
          ,{' '}
          <a href={`/papers/${paper.slug}.ris`} download>
            RIS
          </a>
          ,{' '}
          <a href={`/papers/${paper.slug}.csl.json`} download>
            CSL-JSON
          </a>
          , <a href={`/papers/${paper.slug}.md`}>this page as Markdown</a>
        </p>
      </section>
      {similar.length > 0 && <Similar papers={similar} />}
      <Discussion {...discussion} />
    </article>
  );
}

/** A collaboration of hundreds would push the paper itself from the screen. */
const AUTHORS_SHOWN = 30;

function Authors({ names }: { names: readonly string[] }) {
  if (names.length === 0) return null;
  const [shown, rest] = [names.slice(0, AUTHORS_SHOWN), names.slice(AUTHORS_SHOWN)];
  return (
    <>
      <p className="authors">{shown.join(', ')}</p>
      {rest.length > 0 && (
        <details className="authors">
          <summary>and {rest.length} more</summary>
          <p>{rest.join(', ')}</p>
        </details>
      )}
    </>
  );
}
