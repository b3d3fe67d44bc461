import { useLoaderData } from 'react-router';
import { countPapers, titlesOf } from '../../../server/queries/papers.ts';
import { services } from '../../../server/services.ts';
import { counted } from '../../components/facts.tsx';
import { LedgerTable } from '../../components/verdicts.tsx';

export const meta = () => [{ title: 'Ledger · Saccade' }];

export async function loader() {
  const { database, ledger } = services();
  const { verdicts } = await ledger.read();
  const measured = [...new Set(verdicts.map(({ slug }) => slug))];
  const [titles, all] = await Promise.all([titlesOf(database, measured), countPapers(database)]);
  return {
    verdicts,
    titles: Object.fromEntries(titles),
    without: all - titles.size,
  };
}

export default function Ledger() {
  const { verdicts, titles, without } = useLoaderData<typeof loader>();
  return (
    <div className="page wide">
      <h1>Ledger</h1>
      <p className="lede">
        What papers report, and what was measured here. A claim that does not hold is listed like one that
        does.
        {without > 0 && ` ${counted(without, 'paper')} ${without === 1 ? 'has' : 'have'} no entry yet.`}
      </p>
      {verdicts.length === 0 ? (
        <p>
          No results are stored yet. <code>npx saccade check --all</code> measures them on this machine.
        </p>
      ) : (
        <LedgerTable verdicts={verdicts} caption="All verdicts" title={(slug) => titles[slug] ?? slug} />
      )}
    </div>
  );
}
