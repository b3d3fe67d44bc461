import { findRunnable, papers as runnable } from '@saccade/papers';
import { lazy, Suspense, useEffect, useState } from 'react';
import { data, Form, useLoaderData } from 'react-router';
import { titlesOf } from '../../../server/queries/papers.ts';
import { services } from '../../../server/services.ts';

const FEWEST = 2;
const MOST = 4;

export const meta = () => [{ title: 'Compare · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const slugs = runnable.map(({ slug }) => slug);
  // a form without scripts sends the name once a box, a link has all in one
  const given = new URL(request.url).searchParams.getAll('papers').flatMap((one) => one.split(','));
  const chosen = [...new Set(given.filter(Boolean))];
  const unknown = chosen.find((slug) => !slugs.includes(slug));
  if (unknown !== undefined)
    throw data(`papers has ${unknown.slice(0, 100)}; allowed: ${slugs.join(', ')}.`, { status: 400 });
  if (chosen.length > MOST)
    throw data(`papers has ${chosen.length} names; allowed: ${FEWEST} to ${MOST}.`, { status: 400 });
  return { chosen, slugs, titles: Object.fromEntries(await titlesOf(services().database, slugs)) };
}

export default function Compare() {
  const { chosen, slugs, titles } = useLoaderData<typeof loader>();
  return (
    <div className="page wide">
      <h1>Compare</h1>
      <p className="lede">
        Two to four mechanisms on the same input and the same device, beside dense attention.
      </p>
      <Form method="get" reloadDocument className="compare-choice">
        <fieldset>
          <legend>Mechanisms</legend>
          {slugs.map((slug) => (
            <label key={slug} className="check">
              <input type="checkbox" name="papers" value={slug} defaultChecked={chosen.includes(slug)} />
              <span>
                {slug} <span className="where">{titles[slug]}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <button type="submit">Compare</button>
      </Form>
      {chosen.length === 1 && <p role="status">One more, at least.</p>}
      {chosen.length >= FEWEST && <Mount slugs={chosen} />}
    </div>
  );
}

const SideBySide = lazy(async () => {
  const { SideBySide: Shown } = await import('@saccade/papers/side-by-side');
  return {
    default: ({ slugs }: { slugs: readonly string[] }) => (
      <Shown papers={slugs.map(findRunnable).filter((paper) => paper !== undefined)} />
    ),
  };
});

/** Never on the server: it measures on the reader's machine. */
function Mount({ slugs }: { slugs: readonly string[] }) {
  const [inBrowser, setInBrowser] = useState(false);
  useEffect(() => setInBrowser(true), []);
  const waiting = (
    <div className="lab-waiting">
      <p>Loading …</p>
      <noscript>The comparison needs JavaScript; the papers’ pages do not.</noscript>
    </div>
  );
  return inBrowser ? (
    <Suspense fallback={waiting}>
      <SideBySide key={slugs.join()} slugs={slugs} />
    </Suspense>
  ) : (
    waiting
  );
}
