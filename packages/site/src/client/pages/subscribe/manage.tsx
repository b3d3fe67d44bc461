import { data, Form, Link, useActionData, useLoaderData } from 'react-router';
import { clientOf, refusal, within } from '../../../server/act.ts';
import { changeSubscription, findSubscription } from '../../../server/queries/subscribers.ts';
import { parseForm, Refused } from '../../../server/refused.ts';
import { services } from '../../../server/services.ts';
import { endSubscription } from '../../../server/subscribe.ts';
import { manageForm } from '../../../shared/subscription.ts';
import { Refusal } from '../../components/answers.tsx';
import { privateHeaders } from '../../headers.ts';
import { SubscriptionFields } from './fields.tsx';

export const headers = privateHeaders;

export const meta = () => [{ title: 'Papers by mail · Saccade' }, { name: 'robots', content: 'noindex' }];

/** Changes nothing: mail programs open links before people do. */
export async function loader({ request, params }: { request: Request; params: { token?: string } }) {
  const begun = new URL(request.url).searchParams.has('begun');
  return { begun, subscription: await findSubscription(services().database, params.token ?? '') };
}

export async function action({ request, params }: { request: Request; params: { token?: string } }) {
  const form = await request.formData();
  try {
    await within('subscription', clientOf(request));
    const asked = parseForm(manageForm, form);
    const token = params.token ?? '';
    if (asked.intent === 'unsubscribe') await endSubscription(services(), token);
    else if (!(await changeSubscription(services().database, token, asked)))
      throw new Refused(404, 'This subscription has ended.');
    return data({ done: asked.intent, error: undefined });
  } catch (error) {
    return refusal(error, form);
  }
}

export default function Manage() {
  const { begun, subscription } = useLoaderData<typeof loader>();
  const answer = useActionData<{ done?: string; error?: string }>();
  return (
    <div className="page">
      <h1>Papers by mail</h1>
      <Refusal error={answer?.error} />
      {subscription ? (
        <>
          {answer?.done === 'change' ? (
            <p role="status">It is changed.</p>
          ) : (
            begun && <p role="status">You are subscribed. Each mail has a link to this page.</p>
          )}
          <Form method="post" className="stacked">
            <input type="hidden" name="intent" value="change" />
            <SubscriptionFields of={subscription} isNew={false} />
            <button type="submit">Change</button>
          </Form>
          <Form method="post" className="stacked">
            <input type="hidden" name="intent" value="unsubscribe" />
            <button type="submit">Unsubscribe</button>
          </Form>
        </>
      ) : (
        <p>
          No more papers will come by mail. <Link to="/subscribe">Subscribe</Link> again whenever you like.
        </p>
      )}
    </div>
  );
}
