import { Form, Link, redirect, useActionData, useLoaderData } from 'react-router';
import { z } from 'zod';
import { clientOf, localPath, refusal, within } from '../../../server/act.ts';
import { parseForm, Refused } from '../../../server/refused.ts';
import { services } from '../../../server/services.ts';
import { privateHeaders } from '../../headers.ts';

const linkForm = z.object({ token: z.string().min(1).max(200) });

export const headers = privateHeaders;

export const meta = () => [{ title: 'Log in · Saccade' }, { name: 'robots', content: 'noindex' }];

/** Changes nothing: mail programs open links before people do. */
export async function loader({ request }: { request: Request }) {
  const { searchParams } = new URL(request.url);
  return {
    token: searchParams.get('token') ?? '',
    next: localPath(searchParams.get('next'), '/'),
    viewer: (await services().accounts.viewer(request))?.name,
  };
}

export async function action({ request }: { request: Request }) {
  const form = await request.formData();
  try {
    const { token } = parseForm(linkForm, form);
    await within('login by client', clientOf(request));
    const redeemed = await services().accounts.redeem(token);
    if (!redeemed) throw new Refused(400, 'This link was used already, or is older than ten minutes.');
    const headers = new Headers();
    for (const cookie of redeemed.cookies) headers.append('Set-Cookie', cookie);
    return redirect(localPath(form.get('next'), '/'), { headers });
  } catch (error) {
    return refusal(error, form);
  }
}

export default function LoginLink() {
  const { token, next, viewer } = useLoaderData<typeof loader>();
  const answer = useActionData<{ error?: string }>();
  return (
    <div className="page">
      <h1>Log in</h1>
      {viewer && (
        <p role="status">
          You are logged in already, as {viewer}. <Link to={next}>Go on</Link>
        </p>
      )}
      {answer?.error ? (
        <p role="alert" className="refusal">
          {answer.error} <Link to={`/login?next=${encodeURIComponent(next)}`}>Ask for another one</Link>.
        </p>
      ) : (
        <Form method="post" action="/login/link" className="stacked" reloadDocument>
          <input type="hidden" name="token" value={token} />
          <input type="hidden" name="next" value={next} />
          <p>This logs you in with this browser.</p>
          <button type="submit">Log in</button>
        </Form>
      )}
    </div>
  );
}
