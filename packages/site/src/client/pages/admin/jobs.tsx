import { useLoaderData } from 'react-router';
import { viewerOf } from '../../../server/act.ts';
import { countSubscribers, editionsMailed } from '../../../server/queries/subscribers.ts';
import { services } from '../../../server/services.ts';
import { Scroll } from '../../components/scroll.tsx';
import { Tabs } from './tabs.tsx';

export const meta = () => [{ title: 'Jobs · Saccade' }];

export async function loader({ request }: { request: Request }) {
  await viewerOf(request, 'admin');
  const { database, jobs } = services();
  return {
    jobs: await jobs.overview(),
    subscribers: await countSubscribers(database),
    editions: await editionsMailed(database),
  };
}

export default function Jobs() {
  const { jobs, subscribers, editions } = useLoaderData<typeof loader>();
  return (
    <div className="page">
      <h1>Jobs</h1>
      <Tabs isAdmin />
      <ul className="plain">
        {jobs.map(({ name, waiting, active }) => (
          <li key={name}>
            {name}: {active} running, {waiting} waiting
          </li>
        ))}
      </ul>
      <h2>Papers by mail</h2>
      <p>
        {subscribers.active} subscribed, {subscribers.pending} asked and not confirmed, {subscribers.paused}{' '}
        paused because their mail server refused.
      </p>
      {editions.length === 0 ? (
        <p>No edition was mailed yet.</p>
      ) : (
        <>
          <p className="quiet">
            Mails of the latest editions. Unconfirmed ones were handed to the mail server, which was not heard
            to answer; they are not sent again.
          </p>
          <Scroll label="Mails of the latest editions">
            <table className="mails">
              <thead>
                <tr>
                  <th scope="col">edition</th>
                  <th scope="col">sent</th>
                  <th scope="col">to send</th>
                  <th scope="col">unconfirmed</th>
                  <th scope="col">failed</th>
                </tr>
              </thead>
              <tbody>
                {editions.map(({ edition, sent, planned, unconfirmed, failed }) => (
                  <tr key={edition}>
                    <th scope="row">{edition}</th>
                    <td>{sent}</td>
                    <td>{planned}</td>
                    <td>{unconfirmed}</td>
                    <td>{failed}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        </>
      )}
    </div>
  );
}
