import { data, Form, redirect, useActionData, useLoaderData } from 'react-router';
import { clientOf, localPath, refusal, within } from '../../../server/act.ts';
import { parseForm } from '../../../server/refused.ts';
import { services } from '../../../server/services.ts';
import { loginForm } from '../../../shared/social.ts';
import { OutboxNotice, Refusal } from '../../components/answers.tsx';
import { actionHeaders } from '../../headers.ts';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Log in · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const next = localPath(new URL(request.url).searchParams.get('next'), '/');
  if (await services().accounts.viewer(request)) throw redirect(next);
  return { next, outbox: services().mailer.kind === 'outbox' };
}

export async function action({ request }: { request: Request }) {
  const form = await request.formData();
  try {
    const { email } = parseForm(loginForm, form);
    await within('login link by client', clientOf(request));
    await within('login link by address', email);
    await services().accounts.sendLink(email, localPath(form.get('next'), '/'));
    return data({ sent: email, error: undefined });
  } catch (error) {
    return refusal(error, form);
  }
}

export default function Login() {
  const { next, outbox } = useLoaderData<typeof loader>();
  const answer = useActionData<{ sent?: string; error?: string }>();
  if (answer?.sent)
    return (
      <div className="page">
        <h1>Look at your mail</h1>
        <p>
          If {answer.sent} can be reached, a link is on its way. It works once, within ten minutes; you can
          open it in any browser that you want to be logged in with.
        </p>
        <OutboxNotice outbox={outbox} />
      </div>
    );
  return (
    <div className="page">
      <h1>Log in</h1>
      <p className="lede">
        There are no passwords: you get a link by mail. An account is made at the first time. Reading needs
        none.
      </p>
      {next !== '/' && (
        <p>What you were about to do needs an account; after that you are back where you were.</p>
      )}
      <Form method="post" className="stacked">
        <input type="hidden" name="next" value={next} />
        <label>
          Mail address
          <input name="email" type="email" autoComplete="email" required maxLength={254} />
        </label>
        <button type="submit">Send me a link</button>
        <Refusal error={answer?.error} />
      </Form>
    </div>
  );
}
