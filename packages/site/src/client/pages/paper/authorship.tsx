import { Form, Link } from 'react-router';
import { RefusalOf } from '../../components/answers.tsx';

/** Authors of the paper who are here, and the form of who says to be one. */
export function Authorship({
  slug,
  authors,
  viewer,
}: {
  slug: string;
  authors: readonly string[];
  viewer?: string;
}) {
  return (
    <div className="authorship">
      {authors.length > 0 && (
        <p className="facts">
          <span>
            {authors.length === 1 ? 'An author is here: ' : 'Authors are here: '}
            {authors.map((name, index) => (
              <span key={name}>
                {index > 0 && ', '}
                <Link to={`/users/${name}`}>{name}</Link>
              </span>
            ))}
          </span>
        </p>
      )}
      {viewer && !authors.includes(viewer) && (
        <details>
          <summary>Are you an author?</summary>
          <Form method="post" action={`/papers/${slug}`} className="stacked">
            <input type="hidden" name="intent" value="claim" />
            <label>
              Your name, as on the paper
              <input name="authorName" required maxLength={200} autoComplete="name" />
            </label>
            <label>
              How a curator can see that it is you
              <textarea
                name="evidence"
                required
                maxLength={2000}
                rows={3}
                placeholder="A page of yours that names this account, an ORCID, …"
              />
            </label>
            <button type="submit">Claim this paper</button>
            <RefusalOf intent="claim" />
          </Form>
        </details>
      )}
    </div>
  );
}
