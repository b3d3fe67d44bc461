import { randomBytes } from 'node:crypto';
import { betterAuth } from 'better-auth';
import { magicLink } from 'better-auth/plugins';
import { loginMail } from '../mail/messages.ts';
import type { AccountOptions } from './accounts.ts';
import { dialectOn } from './dialect.ts';
import { provisionalName } from './provisional-name.ts';

const LINK_MINUTES = 10;
const SESSION_DAYS = 30;

export type Auth = ReturnType<typeof createAuth>;

/** better-auth as the site uses it. A file of its own, since it is loaded when the first reader logs in. */
export function createAuth(
  { database, mailer, origin, secret }: AccountOptions,
  { cookie, secure }: { cookie: string; secure: boolean },
) {
  return betterAuth({
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
}
