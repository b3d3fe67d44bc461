import { Hono } from 'hono';
import type { Database } from './database.ts';
import type { Mailer } from './mail/mailer.ts';
import { alreadyMail, confirmMail } from './mail/messages.ts';
import { type Asked, ask, unsubscribe } from './queries/subscribers.ts';

interface Means {
  database: Database;
  mailer: Mailer;
  origin: string;
}

/** Mails the question whether an address wants papers. What is seen on the site is the same for every address. */
export async function askByMail({ database, mailer, origin }: Means, asked: Asked): Promise<void> {
  const answer = await ask(database, asked);
  const message =
    'confirm' in answer
      ? confirmMail({ to: asked.email, address: `${origin}/subscribe/confirm?token=${answer.confirm}` })
      : alreadyMail({ to: asked.email, address: `${origin}/unsubscribe/${answer.manage}` });
  await mailer.send(message);
}

/** Ends a subscription, and has the outbox forget the address. */
export async function endSubscription(
  { database, mailer }: Pick<Means, 'database' | 'mailer'>,
  token: string,
): Promise<void> {
  const address = await unsubscribe(database, token);
  if (address) await mailer.forget(address);
}

/**
 * The POST of mail programs by RFC 8058: no cookie, no page, no redirect, and the same answer the second time. It rides
 * on nothing but its address, so it may come from anywhere. Everything else goes on to the page.
 */
export function oneClick(means: Pick<Means, 'database' | 'mailer'>): Hono {
  const routes = new Hono();
  routes.post('/unsubscribe/:token', async (context, next) => {
    // Of a longer one not even the start is read here.
    if (!(Number(context.req.header('content-length')) <= 1000)) return next();
    const form = await context.req.raw
      .clone()
      .formData()
      .catch(() => undefined);
    if (form?.get('List-Unsubscribe') !== 'One-Click') return next();
    await endSubscription(means, context.req.param('token'));
    return context.text('No more papers will come by mail.');
  });
  return routes;
}
