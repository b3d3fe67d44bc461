import { randomBytes } from 'node:crypto';
import { betterAuth } from 'better-auth';
import { magicLink } from 'better-auth/plugins';
import type { Database } from '../database.ts';
import type { Mailer } from '../mail/mailer.ts';
import { loginMail } from '../mail/messages.ts';
import { dialectOn } from './dialect.ts';

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

const LINK_MINUTES = 10;
const SESSION_DAYS = 30;

/**
 * Accounts by mailed link, on better-auth: tokens of 190 bits, stored hashed, used once within ten minutes; sessions
 * whose cookie is signed and, on https, bound to this host by its name.
 * @param origin where readers reach the site, such as https://papers.example.org
 * @param secret signs the cookies
 */
export function createAccounts(options: {
  database: Database;
  mailer: Mailer;
  origin: string;
  secret: string;
}): Accounts {
  const { database, mailer, origin, secret } = options;
  const secure = origin.startsWith('https://');
  const cookie = secure ? '__Host-saccade' : 'saccade';
  const auth = betterAuth({
    database: { dialect: dialectOn(database), type: 'postgres' },
    baseURL: origin,
    trustedOrigins: [origin],
    secret,
    telemetry: { enabled: false },
    // Ours are in limits.ts; better-auth's own routes are not served at all.
    rateLimit: { enabled: false },
    logger: { disabled: true },
    advanced: {
      // The prefix __Host- is part of the name below; better-auth would add __Secure- before it.
      useSecureCookies: false,
      cookies: { session_token: { name: cookie, attributes: { secure } } },
      ipAddress: { disableIpTracking: true },
      database: { generateId: () => randomBytes(12).toString('hex') },
    },
    user: {
      modelName: 'users',
      fields: { emailVerified: 'email_verified', createdAt: 'created_at', updatedAt: 'updated_at' },
    },
    session: {
      modelName: 'sessions',
      expiresIn: SESSION_DAYS * 86_400,
      fields: {
        userId: 'user_id',
        expiresAt: 'expires_at',
        createdAt: 'created_at',
        updatedAt: 'updated_at',
        ipAddress: 'ip_address',
        userAgent: 'user_agent',
      },
    },
    account: {
      modelName: 'identities',
      fields: {
        accountId: 'account_id',
        providerId: 'provider_id',
        userId: 'user_id',
        accessToken: 'access_token',
        refreshToken: 'refresh_token',
        idToken: 'id_token',
        accessTokenExpiresAt: 'access_token_expires_at',
        refreshTokenExpiresAt: 'refresh_token_expires_at',
        createdAt: 'created_at',
        updatedAt: 'updated_at',
      },
    },
    verification: {
      modelName: 'logins',
      fields: { expiresAt: 'expires_at', createdAt: 'created_at', updatedAt: 'updated_at' },
    },
    databaseHooks: {
      user: { create: { before: async (user) => ({ data: { ...user, name: provisionalName() } }) } },
    },
    plugins: [
      magicLink({
        storeToken: 'hashed',
        expiresIn: LINK_MINUTES * 60,
        sendMagicLink: async ({ email, token, metadata }) => {
          const address = new URL('/login/link', origin);
          address.searchParams.set('token', token);
          address.searchParams.set('next', String(metadata?.next ?? '/'));
          await mailer.send(loginMail({ to: email, address: address.href, minutes: LINK_MINUTES }));
        },
      }),
    ],
  });
  const headers = new Headers({ origin });
  return {
    sendLink: async (email, next) => {
      await auth.api.signInMagicLink({ body: { email, metadata: { next } }, headers });
    },
    redeem: async (token) => {
      const response = await auth.api.magicLinkVerify({ query: { token }, headers, asResponse: true });
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
      const found = await auth.api.getSession({ headers: request.headers });
      if (!found) return undefined;
      const [row] = await database.query<Viewer>(
        `SELECT id, name, role, is_bot AS "isBot", created_at AS "createdAt" FROM users
         WHERE id = $1 AND suspended_at IS NULL`,
        [found.user.id],
      );
      return row;
    },
    leave: async (request) => {
      const response = await auth.api.signOut({ headers: request.headers, asResponse: true });
      return response.headers.getSetCookie();
    },
  };
}

/** A name that says nothing of the address; its owner chooses another on the account page. */
export const provisionalName = () => `reader-${randomBytes(4).toString('hex')}`;

/** Has the viewer this role, or one above it? */
export function mayActAs(viewer: Viewer | undefined, role: Role): boolean {
  return viewer !== undefined && roles.indexOf(viewer.role) >= roles.indexOf(role);
}
