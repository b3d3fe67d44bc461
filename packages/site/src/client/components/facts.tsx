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

/** Authors, date and comments; what is not known is said to be unknown. */
export function Facts({ paper }: { paper: PaperView }) {
  const { authorCount, listedOn, commentCount } = paper;
  return (
    <p className="facts">
      <span>
        {authorCount === null
          ? 'authors unknown'
          : `${authorCount} ${authorCount === 1 ? 'author' : 'authors'}`}
      </span>
      <span>
        {listedOn === null ? 'date unknown' : <time dateTime={listedOn}>{dateInWords(listedOn)}</time>}
      </span>
      {commentCount !== null && (
        <span>
          {commentCount} {commentCount === 1 ? 'comment' : 'comments'} on the list
        </span>
      )}
    </p>
  );
}
