import { data, Form, useActionData, useLoaderData } from 'react-router';
import { clientOf, refusal, within } from '../../../server/act.ts';
import { parseForm } from '../../../server/refused.ts';
import { services } from '../../../server/services.ts';
import { askByMail } from '../../../server/subscribe.ts';
import { askForm } from '../../../shared/subscription.ts';
import { OutboxNotice, Refusal } from '../../components/answers.tsx';
import { actionHeaders } from '../../headers.ts';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Papers by mail · Saccade' }];

export const loader = () => ({ outbox: services().mailer.kind === 'outbox' });

export async function action({ request }: { request: Request }) {
  const form = await request.formData();
  try {
    const asked = parseForm(askForm, form);
    await within('subscribe by client', clientOf(request));
    await within('subscribe by address', asked.email);
    await askByMail(services(), asked);
    return data({ sent: asked.email, error: undefined });
  } catch (error) {
    return refusal(error, form);
  }
}

export default function Subscribe() {
  const { outbox } = useLoaderData<typeof loader>();
  const answer = useActionData<{ sent?: string; error?: string }>();
  if (answer?.sent)
    return (
      <div className="page">
        <h1>Look at your mail</h1>
        <p>
          If {answer.sent} can be reached, a question is on its way. Papers come once you have answered it;
          then you also choose the hour.
        </p>
        <OutboxNotice outbox={outbox} />
      </div>
    );
  return (
    <div className="page">
      <h1>Papers by mail</h1>
      <p className="lede">
        A mail for each day that has papers, or one a week, at the hour that you choose, until you
        unsubscribe. Your address is used for that alone, and nothing in the mails tells us that you read
        them.
      </p>
      <Form method="post" action="/subscribe" className="stacked">
        <label>
          Mail address for papers
          <input name="email" type="email" autoComplete="email" required maxLength={254} />
        </label>
        <button type="submit">Subscribe to papers</button>
        <Refusal error={answer?.error} />
      </Form>
    </div>
  );
}
