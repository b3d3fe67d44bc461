import { Form, Link, useActionData, useLoaderData } from 'react-router';
import { type ActionError, viewerOf } from '../../../server/act.ts';
import { submitAction, type TypeIt } from '../../../server/actions/submit.ts';
import { submissionsOf } from '../../../server/queries/submissions.ts';
import { services } from '../../../server/services.ts';
import { parseArxivId } from '../../../shared/arxiv-id.ts';
import { Refusal } from '../../components/answers.tsx';
import { dateInWords } from '../../components/facts.tsx';
import { actionHeaders } from '../../headers.ts';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Submit a paper · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { id, role } = await viewerOf(request);
  const { database, submitDays } = services();
  const { searchParams } = new URL(request.url);
  const mine = await submissionsOf(database, id);
  const arxiv = (name: string) => parseArxivId(searchParams.get(name) ?? '')?.id;
  return {
    days: role === 'curator' || role === 'admin' ? 0 : submitDays,
    wanted: arxiv('paper') ?? '',
    sent: arxiv('sent'),
    mine: mine.map(({ id, arxiv, title, status, reason, slug, createdAt }) => ({
      ...{ id, arxiv, title, status, reason, slug },
      createdAt: createdAt.toISOString(),
    })),
  };
}

export const action = ({ request }: { request: Request }) => submitAction(request);

export default function Submit() {
  const { days, wanted, sent, mine } = useLoaderData<typeof loader>();
  const answer = useActionData<Partial<TypeIt & ActionError>>();
  const typing = answer?.typeIt;
  return (
    <div className="page prose">
      <h1>Submit a paper</h1>
      <p className="lede">
        A curator looks at it, and lists it in the day’s papers or tells you why not.
        {days > 0 && ` It must have been published on arXiv within the last ${days} days.`}
      </p>
      {sent && !answer && <p role="status">Thank you: {sent} waits for a curator now.</p>}
      {typing ? (
        <Typed {...typing} />
      ) : (
        <Form method="post" className="stacked">
          <input type="hidden" name="intent" value="find" />
          <label>
            arXiv id or address
            <input
              name="paper"
              defaultValue={wanted}
              required
              maxLength={300}
              placeholder="2407.13168 or https://arxiv.org/abs/2407.13168"
            />
          </label>
          <label>
            Why it belongs here, for the curators
            <textarea name="note" rows={3} maxLength={1000} />
          </label>
          <button type="submit">Submit</button>
        </Form>
      )}
      <Refusal error={answer?.error} />
      {mine.length > 0 && (
        <section aria-labelledby="mine">
          <h2 id="mine">What you submitted</h2>
          <ul className="comments">
            {mine.map(({ id, arxiv, title, status, reason, slug, createdAt }) => (
              <li key={id} className="comment">
                <p className="facts">
                  <span className={status === 'pending' ? 'label' : 'label runs'}>
                    {status === 'pending' ? 'waits' : status}
                  </span>
                  {slug ? <Link to={`/papers/${slug}`}>{title}</Link> : <span>{title}</span>}
                  <span>{arxiv}</span>
                  <time dateTime={createdAt}>{dateInWords(createdAt)}</time>
                </p>
                {reason && <p className="said">{reason}</p>}
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

/** The facts of a paper, typed in because arXiv cannot be asked from here. */
function Typed({ arxiv, note, why, typed }: TypeIt['typeIt']) {
  return (
    <Form method="post" className="stacked">
      <p role="status">
        arXiv could not be asked{why && ` (${why})`}. With what its page says, typed in here, {arxiv} can go
        to the curators all the same.
      </p>
      <input type="hidden" name="intent" value="typed" />
      <input type="hidden" name="paper" value={arxiv} />
      <input type="hidden" name="note" value={note} />
      <label>
        Title
        <input name="title" defaultValue={typed?.title} required maxLength={500} />
      </label>
      <label>
        Authors, one a line or with commas between
        <textarea name="authors" defaultValue={typed?.authors} rows={3} required maxLength={5000} />
      </label>
      <label>
        Published on
        <input name="published" defaultValue={typed?.published} type="date" required />
      </label>
      <label>
        Abstract
        <textarea name="abstract" defaultValue={typed?.abstract} rows={8} required maxLength={10_000} />
      </label>
      <button type="submit">Submit</button>
    </Form>
  );
}
