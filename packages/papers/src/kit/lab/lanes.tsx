import type { ReactNode } from 'react';

/** One line of a comparison. */
export interface Lane {
  name: string;
  /** What the bar's length is; undefined as long as it is not known. */
  value?: number;
  /** The value in words, with its unit. */
  shown: ReactNode;
  /** What else is to be said of it. */
  note?: ReactNode;
  /** The paper's own. */
  own?: boolean;
}

/** Bars one below the other, all on one scale from zero. */
export function Lanes({ label, lanes, testId }: { label: string; lanes: readonly Lane[]; testId?: string }) {
  const longest = Math.max(Number.MIN_VALUE, ...lanes.map(({ value }) => value ?? 0));
  return (
    <ul className="lab-lanes" aria-label={label} data-lab={testId}>
      {lanes.map(({ name, value, shown, note, own }) => (
        <li key={name} className={own ? 'own' : undefined}>
          <span>{name}</span>
          <b>{shown}</b>
          <i style={{ width: `${value === undefined ? 0 : Math.max(0.5, (100 * value) / longest)}%` }} />
          {note && <small>{note}</small>}
        </li>
      ))}
    </ul>
  );
}
