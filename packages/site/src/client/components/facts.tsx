import type { PaperView } from '../../shared/schemas.ts';

const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

/** 2025-03-04 as 4 March 2025, the same on server and client. */
export function dateInWords(date: string): string {
  const [year, month, day] = date.slice(0, 10).split('-').map(Number);
  return `${day} ${months[month - 1]} ${year}`;
}

/** An instant as 4 March 2025, 06:00 UTC. */
export const instantInWords = (instant: string): string =>
  `${dateInWords(instant)}, ${instant.slice(11, 16)} UTC`;

/** 2025-03 as March 2025. */
export function monthInWords(month: string): string {
  const [year, number] = month.split('-').map(Number);
  return `${months[number - 1]} ${year}`;
}

/** A number with its noun: 1 vote, 2 votes, 20,000 papers. */
export const counted = (count: number, noun: string): string =>
  `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;

/** Authors, date and comments; what is not known is said to be unknown. */
export function Facts({ paper }: { paper: Pick<PaperView, 'authorCount' | 'listedOn' | 'commentCount'> }) {
  const { authorCount, listedOn, commentCount } = paper;
  return (
    <p className="facts">
      <span>{authorCount === null ? 'authors unknown' : counted(authorCount, 'author')}</span>
      <span>
        {listedOn === null ? 'date unknown' : <time dateTime={listedOn}>{dateInWords(listedOn)}</time>}
      </span>
      {commentCount !== null && <span>{counted(commentCount, 'comment')} on the list</span>}
    </p>
  );
}
