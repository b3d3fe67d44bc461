import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { isZone } from '../shared/subscription.ts';
import { logLevels } from './log.ts';
import type { Dkim } from './mail/smtp.ts';

/** Set but empty is not set: compose files and units often leave a variable empty. */
const optional = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema.optional());

const schema = z.object({
  PORT: z.coerce
    .number('a number')
    .int('a whole number')
    .min(0, 'at least 0')
    .max(65535, 'at most 65535')
    .default(4173),
  HOST: z.string().min(1, 'a host name or address').default('localhost'),
  SACCADE_DATA: z.string().min(1, 'a directory').default('./data'),
  SACCADE_RESULTS: z.string().min(1, 'a directory').optional(),
  SACCADE_BENCH: z.string().min(1, 'a directory').optional(),
  DATABASE_URL: optional(
    z.string().regex(/^postgres(ql)?:\/\//, 'postgresql://user:password@host:port/database'),
  ),
  SACCADE_ORIGIN: optional(
    z.string().regex(/^https?:\/\/[^/\s]+$/, 'scheme and host, such as https://papers.example.org'),
  ),
  SACCADE_SECRET: optional(z.string().min(32, 'at least 32 characters')),
  SACCADE_PROXIES: optional(z.coerce.number('a number').int('a whole number').min(0).max(10, 'at most 10')),
  SMTP_URL: optional(z.string().regex(/^smtps?:\/\//, 'smtp://user:password@host:587')),
  MAIL_FROM: optional(
    z.string().regex(/^[^\r\n]*@[^\r\n]*$/, 'an address, such as Saccade <papers@example.org>'),
  ),
  SACCADE_ZONE: optional(z.string().refine(isZone, 'a time zone such as Europe/Zurich')),
  SACCADE_OFFLINE: optional(z.enum(['0', '1'], '0 or 1')),
  SACCADE_SUBMIT_DAYS: optional(
    z.coerce.number('a number').int('a whole number').min(0, 'at least 0').max(36_500, 'at most 36500'),
  ),
  SACCADE_LOG: optional(z.enum(logLevels, `one of ${logLevels.join(', ')}`)),
  DKIM_DOMAIN: optional(z.string().regex(/^[a-z0-9.-]+$/i, 'a domain, such as example.org')),
  DKIM_SELECTOR: optional(z.string().regex(/^[a-z0-9._-]+$/i, 'a selector, such as saccade')),
  DKIM_KEY_FILE: optional(z.string()),
});

export interface Settings {
  port: number;
  host: string;
  /** Where the embedded database and other files of this process lie. */
  data: string;
  /** The ledger's folder; default: results/ of the clone. */
  results?: string;
  /** The benchmarks' folder; default: bench/results/ of the clone. */
  bench?: string;
  /** Zone in which the days of editions are counted. */
  zone: string;
  /** A PostgreSQL server instead of the embedded database. */
  databaseUrl?: string;
  /** Where readers reach the site, if that is not where it listens: in mails, and for cookies on https. */
  origin?: string;
  /** Signs cookies; without one the data directory keeps one. Servers that share a database share it too. */
  secret?: string;
  /** How many proxies stand before the site and may be believed about whom they speak for. */
  proxies: number;
  /** A mail server and a sender; without them mail stays in the outbox. */
  smtp?: { url: string; from: string };
  /** Nothing is asked of arXiv and Hugging Face by the server itself. */
  offline: boolean;
  /** How many days after its publication a reader may put a paper forward; 0: always. */
  submitDays: number;
  /** From which level on the log is written. */
  log: (typeof logLevels)[number];
  /** Signs mail through SMTP_URL. */
  dkim?: Dkim;
}

/**
 * The settings from the environment; the README lists them.
 * @throws Error that names the variable, what was given and what is allowed; the value of a secret is not repeated
 */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const parsed = schema.safeParse(environment);
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    const name = String(path[0]);
    const given = secret.has(name) ? 'not understood' : environment[name];
    throw new Error(`${name} is ${given}; allowed: ${message}`);
  }
  const { PORT, HOST, SACCADE_DATA, SACCADE_RESULTS, DATABASE_URL, ...rest } = parsed.data;
  if (rest.SMTP_URL && !rest.MAIL_FROM)
    throw new Error('MAIL_FROM is missing; allowed: the sender of mail through SMTP_URL');
  return {
    port: PORT,
    host: HOST,
    data: resolve(SACCADE_DATA),
    results: SACCADE_RESULTS && resolve(SACCADE_RESULTS),
    bench: rest.SACCADE_BENCH && resolve(rest.SACCADE_BENCH),
    zone: rest.SACCADE_ZONE ?? 'UTC',
    databaseUrl: DATABASE_URL,
    origin: rest.SACCADE_ORIGIN,
    secret: rest.SACCADE_SECRET,
    proxies: rest.SACCADE_PROXIES ?? 0,
    smtp: rest.SMTP_URL && rest.MAIL_FROM ? { url: rest.SMTP_URL, from: rest.MAIL_FROM } : undefined,
    offline: rest.SACCADE_OFFLINE === '1',
    submitDays: rest.SACCADE_SUBMIT_DAYS ?? 14,
    log: rest.SACCADE_LOG ?? 'warn',
    dkim: dkimOf(rest),
  };
}

function dkimOf(given: { DKIM_DOMAIN?: string; DKIM_SELECTOR?: string; DKIM_KEY_FILE?: string }) {
  const { DKIM_DOMAIN, DKIM_SELECTOR, DKIM_KEY_FILE } = given;
  if (!DKIM_DOMAIN && !DKIM_SELECTOR && !DKIM_KEY_FILE) return undefined;
  if (!DKIM_DOMAIN || !DKIM_SELECTOR || !DKIM_KEY_FILE)
    throw new Error(
      'DKIM_DOMAIN, DKIM_SELECTOR and DKIM_KEY_FILE are not all set; allowed: all three or none',
    );
  let privateKey: string;
  try {
    privateKey = readFileSync(DKIM_KEY_FILE, 'utf8');
  } catch {
    throw new Error(`DKIM_KEY_FILE is ${DKIM_KEY_FILE}; allowed: a file that can be read`);
  }
  if (!privateKey.includes('PRIVATE KEY'))
    throw new Error(`DKIM_KEY_FILE is ${DKIM_KEY_FILE}; allowed: a private key as PEM`);
  return { domainName: DKIM_DOMAIN, keySelector: DKIM_SELECTOR, privateKey };
}

/** Holds a password, so messages do not repeat it. */
const secret = new Set(['DATABASE_URL', 'SACCADE_SECRET', 'SMTP_URL']);
