import { data, Form, Link, redirect, useActionData, useLoaderData } from 'react-router';
import { type ActionError, act, viewerOf } from '../../../server/act.ts';
import { claimsOf } from '../../../server/queries/authorships.ts';
import { deleteAccount, rename } from '../../../server/queries/users.ts';
import { parseForm } from '../../../server/refused.ts';
import { services } from '../../../server/services.ts';
import { accountForm } from '../../../shared/social.ts';
import { RefusalOf } from '../../components/answers.tsx';
import { actionHeaders } from '../../headers.ts';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Your account · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { id, name, role } = await viewerOf(request);
  return { name, role, claims: await claimsOf(services().database, id) };
}

export function action({ request }: { request: Request }) {
  return act(request, { limit: 'account' }, async (viewer, form) => {
    const { database, accounts, mailer } = services();
    const asked = parseForm(accountForm, form);
    if (asked.intent === 'rename') {
      await rename(database, viewer, asked.name);
      return data({ renamed: asked.name });
    }
    const headers = new Headers();
    for (const cookie of await accounts.leave(request)) headers.append('Set-Cookie', cookie);
    if (asked.intent === 'delete') {
      const address = await deleteAccount(database, viewer.id);
      if (address) await mailer.forget(address);
    }
    return redirect('/', { headers });
  });
}

export default function Account() {
  const { name, role, claims } = useLoaderData<typeof loader>();
  const answer = useActionData<{ renamed?: string } & Partial<ActionError>>();
  return (
    <div className="page prose">
      <h1>Your account</h1>
      <p className="lede">
        You are <Link to={`/users/${name}`}>{name}</Link>,{' '}
        {role === 'admin' || role === 'author' ? 'an' : 'a'} {role}.
      </p>
      <Form method="post" className="stacked">
        <input type="hidden" name="intent" value="rename" />
        <label>
          Name that others see
          <input
            name="name"
            defaultValue={name}
            required
            minLength={2}
            maxLength={30}
            autoComplete="nickname"
          />
        </label>
        <button type="submit">Change</button>
        {answer?.renamed && <p role="status">You are {answer.renamed} now.</p>}
        <RefusalOf intent="rename" />
      </Form>
      <Form method="post" className="inline" reloadDocument>
        <input type="hidden" name="intent" value="leave" />
        <button type="submit">Log out</button>
      </Form>
      {claims.length > 0 && (
        <section aria-labelledby="claims">
          <h2 id="claims">Papers you claim</h2>
          <ul className="plain">
            {claims.map(({ id, slug, title, status, reason }) => (
              <li key={id}>
                <Link to={`/papers/${slug}`}>{title}</Link>: {status}
                {reason && ` (${reason})`}
                {status === 'denied' && '. You may claim it again on its page.'}
              </li>
            ))}
          </ul>
        </section>
      )}
      <h2>Your data</h2>
      <p>
        <a href="/account/export" download>
          Everything that is stored of you
        </a>
        , as JSON.
      </p>
      <details>
        <summary>Delete the account</summary>
        <Form method="post" className="stacked" reloadDocument>
          <input type="hidden" name="intent" value="delete" />
          <p>
            Your address, votes, library and texts go at once and for good. Replies to your comments stay,
            below a line that says “deleted”.
          </p>
          <label>
            Write <em>delete</em> to do it
            <input name="sure" required pattern="delete" autoComplete="off" />
          </label>
          <button type="submit">Delete my account</button>
          <RefusalOf intent="delete" />
        </Form>
      </details>
    </div>
  );
}
