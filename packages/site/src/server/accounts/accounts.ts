import type { Database } from '../database.ts';
import type { Mailer } from '../mail/mailer.ts';
import type { Auth } from './auth.ts';

/** What each role may do beyond the one before it. */
export const roles = ['reader', 'author', 'curator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Who asks, as pages and actions may know it: no address. */
export interface Viewer {
  id: string;
  name: string;
  role: Role;
  isBot: boolean;
  createdAt: Date;
}

export interface Accounts {
  /** Mails a link for a login. The answer is the same whether the address is known or not. `next` is a path of this site. */
  sendLink(email: string, next: string): Promise<void>;
  /** Uses a link up. Its session, as cookies to set; undefined where the link was used, is too old or was never given. */
  redeem(token: string): Promise<{ cookies: string[] } | undefined>;
  /** Who asks, by the cookie; undefined for everybody without one. */
  viewer(request: Request): Promise<Viewer | undefined>;
  /** Ends the session of the request. Cookies to set. */
  leave(request: Request): Promise<string[]>;
}

export interface AccountOptions {
  database: Database;
  mailer: Mailer;
  /** Where readers reach the site, such as https://papers.example.org */
  origin: string;
  /** Signs the cookies. */
  secret: string;
}

/**
 * Accounts by mailed link, on better-auth: tokens of 190 bits, stored hashed, used once within ten minutes; sessions
 * whose cookie is signed and, on https, bound to this host by its name.
 */
export function createAccounts(options: AccountOptions): Accounts {
  const { database, origin } = options;
  const secure = origin.startsWith('https://');
  const cookie = secure ? '__Host-saccade' : 'saccade';
  // An hour may pass before anybody logs in, and the library takes a second to load.
  let made: Promise<Auth> | undefined;
  const auth = () => {
    made ??= import('./auth.ts').then(({ createAuth }) => createAuth(options, { cookie, secure }));
    return made;
  };
  const headers = new Headers({ origin });
  return {
    sendLink: async (email, next) => {
      await (await auth()).api.signInMagicLink({ body: { email, metadata: { next } }, headers });
    },
    redeem: async (token) => {
      const response = await (await auth()).api.magicLinkVerify({
        query: { token },
        headers,
        asResponse: true,
      });
      if (!response.ok) return undefined;
      const { user } = (await response.json()) as { user: { id: string } };
      const [row] = await database.query('SELECT 1 FROM users WHERE id = $1 AND suspended_at IS NULL', [
        user.id,
      ]);
      if (row) return { cookies: response.headers.getSetCookie() };
      await database.query('DELETE FROM sessions WHERE user_id = $1', [user.id]);
      return undefined;
    },
    viewer: async (request) => {
      if (!request.headers.get('cookie')?.includes(`${cookie}=`)) return undefined;
      const found = await (await auth()).api.getSession({ headers: request.headers });
      if (!found) return undefined;
      const [row] = await database.query<Viewer>(
        `SELECT id, name, role, is_bot AS "isBot", created_at AS "createdAt" FROM users
         WHERE id = $1 AND suspended_at IS NULL`,
        [found.user.id],
      );
      return row;
    },
    leave: async (request) => {
      const response = await (await auth()).api.signOut({ headers: request.headers, asResponse: true });
      return response.headers.getSetCookie();
    },
  };
}

/** Has the viewer this role, or one above it? */
export function mayActAs(viewer: Viewer | undefined, role: Role): boolean {
  return viewer !== undefined && roles.indexOf(viewer.role) >= roles.indexOf(role);
}
