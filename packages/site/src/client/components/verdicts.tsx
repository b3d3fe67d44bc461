import type { ReactNode } from 'react';
import { adapterInWords } from '../../shared/machine.ts';
import type { VerdictName, VerdictView } from '../../shared/schemas.ts';
import { dateInWords } from './facts.tsx';
import { Scroll } from './scroll.tsx';

const marks: Record<VerdictName, { mark: string; tone: string }> = {
  holds: { mark: '●', tone: 'good' },
  'holds in direction': { mark: '◐', tone: 'warn' },
  'does not hold': { mark: '✕', tone: 'bad' },
  'not checkable here': { mark: '–', tone: 'muted' },
  'not yet measured': { mark: '○', tone: 'muted' },
};

/** A verdict in words, with a mark so that colour is not the only sign. */
export function Verdict({ verdict }: { verdict: VerdictName }) {
  const { mark, tone } = marks[verdict];
  return (
    <span className={`verdict ${tone}`}>
      <span aria-hidden="true">{mark}</span> {verdict}
    </span>
  );
}

/** How many claims of a paper have which verdict: the latest full measurement of each claim counts. */
export function VerdictCounts({ counts }: { counts: Partial<Record<VerdictName, number>> }) {
  const named = (Object.keys(marks) as VerdictName[]).filter((name) => counts[name]);
  if (named.length === 0) return null;
  return (
    <ul className="verdict-counts" aria-label="Verdicts">
      {named.map((name) => (
        <li key={name} className={`verdict ${marks[name].tone}`}>
          <span aria-hidden="true">{marks[name].mark}</span> {counts[name]} {name}
        </li>
      ))}
    </ul>
  );
}

/** Measured values with their names taken apart: timesFasterThanDense reads as 'times faster than dense'. */
function Values({ values }: { values: VerdictView['values'] }) {
  const entries = Object.entries(values);
  if (entries.length === 0) return <>—</>;
  const list = (
    <ul className="values">
      {entries.map(([name, value]) => (
        <li key={name}>
          <span className="value-name">{words(name)}</span>{' '}
          <b>{value === null ? 'not a number' : short(value)}</b>
        </li>
      ))}
    </ul>
  );
  if (entries.length <= MOST_OPEN) return list;
  return (
    <details>
      <summary>{entries.length} values</summary>
      {list}
    </details>
  );
}

/** More values than this are folded: the verdict's reason beside them names those that decided. */
const MOST_OPEN = 4;

const words = (name: string) =>
  name
    .replace(/_/g, ' ')
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase();
/** Four digits, with no zeros that say nothing; powers of ten where a plain number would be long. */
const short = (value: number) => {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(2);
  return String(Number.isInteger(value) ? value : Number(value.toPrecision(4)));
};

/** Reported beside measured. `paper` false adds no column for the paper, on a page that is the paper's own. */
export function LedgerTable({
  verdicts,
  caption,
  title,
  again,
}: {
  verdicts: readonly VerdictView[];
  caption: string;
  title?: (slug: string) => string;
  /** How a row is measured once more. */
  again?: (row: VerdictView) => ReactNode;
}) {
  return (
    <Scroll label={caption}>
      <table className="ledger">
        <caption>{caption}</caption>
        <thead>
          <tr>
            {title && <th scope="col">Paper</th>}
            <th scope="col">Reported</th>
            <th scope="col">Verdict</th>
            <th scope="col">Measured here</th>
            <th scope="col">Machine</th>
          </tr>
        </thead>
        <tbody>
          {verdicts.map((row) => (
            <tr key={`${row.slug} ${row.id} ${row.worker ?? ''} ${row.machine}`}>
              {title && (
                <th scope="row">
                  <a href={`/papers/${row.slug}`}>{title(row.slug)}</a>
                </th>
              )}
              <td>
                {row.states} <span className="where">{row.where}</span>
              </td>
              <td>
                <Verdict verdict={row.verdict} />
                <p className="because">{row.because}</p>
              </td>
              <td>
                <Values values={row.values} />
                {row.how !== row.because && (
                  <details>
                    <summary>how</summary>
                    <p>{row.how}</p>
                  </details>
                )}
              </td>
              <td className="machine">
                {row.worker && <b>{row.worker}: </b>}
                {adapterInWords(row.adapter).name}, {row.tier}
                {row.quick ? ', quick run' : ''}
                <br />
                <time dateTime={row.date}>{dateInWords(row.date)}</time>, commit{' '}
                <code>{row.commit.slice(0, 10)}</code>
                <br />
                <a
                  href={`/ledger/${row.worker ? `workers/${row.worker}` : row.machine}/${row.slug}.json`}
                  download
                >
                  raw samples{row.worker && ', signed'}
                </a>
                {again?.(row)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** Claims that have no entry in the ledger, with how each would be decided or why it cannot be. */
export function OpenClaims({ claims, caption }: { claims: readonly OpenClaim[]; caption: string }) {
  return (
    <Scroll label={caption}>
      <table className="ledger">
        <caption>{caption}</caption>
        <thead>
          <tr>
            <th scope="col">Reported</th>
            <th scope="col">Verdict</th>
            <th scope="col">How it is checked</th>
          </tr>
        </thead>
        <tbody>
          {claims.map(({ id, states, where, verdict, how }) => (
            <tr key={id}>
              <td>
                {states} <span className="where">{where}</span>
              </td>
              <td>
                <Verdict verdict={verdict} />
              </td>
              <td>{how}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** A claim without a stored measurement. */
export interface OpenClaim {
  id: string;
  states: string;
  where: string;
  verdict: VerdictName;
  how: string;
}
