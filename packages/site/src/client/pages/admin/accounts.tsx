import { Form, Link, useLoaderData, useLocation } from 'react-router';
import { viewerOf } from '../../../server/act.ts';
import { decide } from '../../../server/actions/decide.ts';
import { accounts, MOST_ACCOUNTS } from '../../../server/queries/moderation.ts';
import { services } from '../../../server/services.ts';
import { counted, dateInWords } from '../../components/facts.tsx';
import { actionHeaders } from '../../headers.ts';
import { Tabs } from './tabs.tsx';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Accounts · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { role, id } = await viewerOf(request, 'curator');
  const q = (new URL(request.url).searchParams.get('q') ?? '').slice(0, 60).replaceAll('\0', '');
  const found = await accounts(services().database, q);
  return {
    isAdmin: role === 'admin',
    self: id,
    q,
    most: found.length === MOST_ACCOUNTS ? MOST_ACCOUNTS : undefined,
    found: found.map((account) => ({ ...account, since: account.since.toISOString() })),
  };
}

export async function action({ request }: { request: Request }) {
  const viewer = await viewerOf(request, 'curator');
  return decide(request, viewer.role);
}

export default function Accounts() {
  const { isAdmin, self, q, most, found } = useLoaderData<typeof loader>();
  const { pathname, search } = useLocation();
  const next = <input type="hidden" name="next" value={pathname + search} />;
  return (
    <div className="page">
      <h1>Accounts</h1>
      <Tabs isAdmin={isAdmin} />
      <Form method="get" className="inline" role="search">
        <label>
          Name
          <input name="q" type="search" defaultValue={q} maxLength={60} />
        </label>
        <button type="submit">Search</button>
      </Form>
      {found.length === 0 && <p>Nobody is called so.</p>}
      {most && <p className="quiet">The newest {most}; a part of a name finds others.</p>}
      <ol className="comments">
        {found.map(({ id, name, role, isBot, suspended, since, votes, comments }) => (
          <li key={id} className="comment">
            <p className="facts">
              <Link to={`/users/${name}`}>{name}</Link>
              <span>{role}</span>
              {isBot && <span className="label">bot</span>}
              {suspended && <span className="label">suspended</span>}
              <span>
                since <time dateTime={since}>{dateInWords(since)}</time>
              </span>
              <span>
                {counted(votes, 'vote')}, {counted(comments, 'comment')}
              </span>
            </p>
            <div className="deeds">
              <Form method="post">
                {next}
                <input type="hidden" name="intent" value="bot" />
                <input type="hidden" name="user" value={id} />
                <input type="hidden" name="isBot" value={isBot ? '0' : '1'} />
                <button type="submit">{isBot ? 'Is no bot' : 'Is a bot'}</button>
              </Form>
              {isAdmin && (
                <details>
                  <summary>Role</summary>
                  <Form method="post" className="inline">
                    {next}
                    <input type="hidden" name="intent" value="role" />
                    <input type="hidden" name="user" value={id} />
                    <label>
                      Role of {name}
                      <select name="role" defaultValue={role}>
                        {['reader', 'author', 'curator', 'admin'].map((option) => (
                          <option key={option}>{option}</option>
                        ))}
                      </select>
                    </label>
                    <button type="submit">Give</button>
                  </Form>
                </details>
              )}
              {isAdmin && id !== self && (
                <details>
                  <summary>{suspended ? 'Let in again' : 'Suspend'}</summary>
                  <Form method="post" className="inline">
                    {next}
                    <input type="hidden" name="intent" value="suspend" />
                    <input type="hidden" name="user" value={id} />
                    <input type="hidden" name="suspended" value={suspended ? '0' : '1'} />
                    <label>
                      Reason, for the audit log
                      <input name="reason" required maxLength={500} />
                    </label>
                    <button type="submit">{suspended ? 'Let in again' : 'Suspend'}</button>
                  </Form>
                </details>
              )}
            </div>
          </li>
        ))}
      </ol>
    </div>
  );
}
