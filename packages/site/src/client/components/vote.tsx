import { useSyncExternalStore } from 'react';
import { useFetcher, useLocation } from 'react-router';

/**
 * A vote for a paper: a form that works without scripts, and with them stays where the reader is. It sends the state that
 * is wanted, so that a double click is one vote.
 */
export function Vote({
  slug,
  title,
  upvotes,
  voted,
}: {
  slug: string;
  title: string;
  upvotes: number;
  voted: boolean;
}) {
  const fetcher = useFetcher<{ upvotes: number; voted: boolean } | { error: string }>();
  const { pathname, search } = useLocation();
  const scripted = useScripted();
  const answer = fetcher.data;
  const before = answer && 'upvotes' in answer ? answer : { upvotes, voted };
  const sending = fetcher.formData?.get('wanted');
  const now = sending
    ? { voted: sending === '1', upvotes: before.upvotes + Number(sending) - Number(before.voted) }
    : before;
  return (
    <fetcher.Form method="post" action={`/papers/${slug}`} className="vote">
      <input type="hidden" name="intent" value="vote" />
      <input type="hidden" name="wanted" value={now.voted ? '0' : '1'} />
      <input type="hidden" name="next" value={pathname + search} />
      {scripted && <input type="hidden" name="inPlace" value="1" />}
      <button
        type="submit"
        aria-pressed={now.voted}
        aria-label={`Vote for ${title}, ${votes(now.upvotes)} so far`}
      >
        <span aria-hidden="true">▲</span> {now.upvotes}
      </button>
      {answer && 'error' in answer && (
        <span role="alert" className="refusal">
          {answer.error}
        </span>
      )}
    </fetcher.Form>
  );
}

const votes = (count: number) => `${count} ${count === 1 ? 'vote' : 'votes'}`;

const never = () => () => {};
/** False on the server and until React has taken the page over. */
const useScripted = () =>
  useSyncExternalStore(
    never,
    () => true,
    () => false,
  );
