import { Form, useSearchParams } from 'react-router';
import type { Keeping } from '../../../server/queries/library.ts';
import { readStates } from '../../../shared/social.ts';
import { RefusalOf } from '../../components/answers.tsx';

/** What the reader keeps of this paper, for themselves. */
export function Keep({ keeping }: { keeping: Keeping }) {
  const { bookmarked, state, note, tags } = keeping;
  const [query] = useSearchParams();
  const kept = [
    bookmarked && 'bookmarked',
    state !== 'none' && state,
    ...tags.map((tag) => `#${tag}`),
  ].filter(Boolean);
  return (
    <details className="keep">
      <summary>{kept.length > 0 ? `In your library: ${kept.join(', ')}` : 'Keep in your library'}</summary>
      <Form method="post" className="stacked">
        <input type="hidden" name="intent" value="keep" />
        <label className="check">
          <input type="checkbox" name="bookmarked" value="1" defaultChecked={bookmarked} /> bookmarked
        </label>
        <label>
          How far you are
          <select name="state" defaultValue={state}>
            {readStates.map((option) => (
              <option key={option} value={option}>
                {option === 'none' ? '—' : option}
              </option>
            ))}
          </select>
        </label>
        <label>
          Tags, with commas between
          <input name="tags" defaultValue={tags.join(', ')} maxLength={1000} />
        </label>
        <label>
          Note, which only you see
          <textarea name="note" defaultValue={note} rows={3} maxLength={5000} />
        </label>
        <button type="submit">Keep</button>
        <RefusalOf intent="keep" />
      </Form>
      {query.has('kept') && <p role="status">Kept.</p>}
    </details>
  );
}
