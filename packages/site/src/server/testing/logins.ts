import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A started site believes one proxy, and shares its secret with others like it: each client is one of its own to the limits. */
export const crowdSettings = {
  SACCADE_PROXIES: '1',
  SACCADE_SECRET: 'a secret that two servers share, 32 long',
};

/** Sends a form as the given client. */
export const post = (url: string, client: number, form: Record<string, string>, rest: RequestInit = {}) =>
  fetch(url, {
    method: 'POST',
    body: new URLSearchParams(form),
    redirect: 'manual',
    ...rest,
    headers: {
      origin: new URL(url).origin,
      'x-forwarded-for': `10.0.${client >> 8}.${client & 255}`,
      ...rest.headers,
    },
  });

/**
 * Logs clients in by their mailed links.
 * @param data the site's data directory, whose outbox has the mails
 * @returns their cookies
 */
export async function logIn(address: string, data: string, clients: number): Promise<string[]> {
  const box = join(data, 'outbox');
  for (let client = 0; client < clients; client++)
    await post(`${address}/login.data`, client, { email: `client-${client}@example.org`, next: '/' });
  const mails = readdirSync(box).map((name) => JSON.parse(readFileSync(join(box, name), 'utf8')));
  return Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const { text } = mails.find(({ to }) => to === `client-${client}@example.org`);
      const token = new URL(/http\S+/.exec(text)![0]).searchParams.get('token')!;
      const answer = await post(`${address}/login/link`, client, { token, next: '/' });
      return answer.headers.getSetCookie()[0].split(';')[0];
    }),
  );
}
