import { Form, Link, redirect, useActionData, useLoaderData } from 'react-router';
import { clientOf, refusal, within } from '../../../server/act.ts';
import { confirmSubscription, findPending } from '../../../server/queries/subscribers.ts';
import { parseForm, Refused } from '../../../server/refused.ts';
import { services } from '../../../server/services.ts';
import { confirmForm } from '../../../shared/subscription.ts';
import { Refusal } from '../../components/answers.tsx';
import { privateHeaders } from '../../headers.ts';
import { SubscriptionFields } from './fields.tsx';

export const headers = privateHeaders;

export const meta = () => [{ title: 'Papers by mail · Saccade' }, { name: 'robots', content: 'noindex' }];

const OVER = 'This link was used already, or is older than 24 hours.';

/** Changes nothing: mail programs open links before people do. */
export async function loader({ request }: { request: Request }) {
  const token = new URL(request.url).searchParams.get('token') ?? '';
  return { token, pending: await findPending(services().database, token) };
}

export async function action({ request }: { request: Request }) {
  const form = await request.formData();
  try {
    await within('subscription', clientOf(request));
    const { token, ...chosen } = parseForm(confirmForm, form);
    const manage = await confirmSubscription(services().database, token, chosen);
    if (!manage) throw new Refused(400, OVER);
    return redirect(`/unsubscribe/${manage}?begun=1`);
  } catch (error) {
    return refusal(error, form);
  }
}

export default function Confirm() {
  const { token, pending } = useLoaderData<typeof loader>();
  const answer = useActionData<{ error?: string }>();
  return (
    <div className="page">
      <h1>Papers by mail</h1>
      <Refusal error={answer?.error} />
      {pending ? (
        <Form method="post" action="/subscribe/confirm" className="stacked" reloadDocument>
          <input type="hidden" name="token" value={token} />
          <SubscriptionFields of={pending} isNew />
          <button type="submit">Send me papers</button>
        </Form>
      ) : (
        !answer?.error && (
          <p>
            {OVER} <Link to="/subscribe">Ask for another one</Link>.
          </p>
        )
      )}
    </div>
  );
}
