import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { readSettings } from './settings.ts';

test('without variables it is localhost:4173 and ./data', () => {
  expect(readSettings({})).toEqual({
    port: 4173,
    host: 'localhost',
    data: resolve('data'),
    results: undefined,
    zone: 'UTC',
    databaseUrl: undefined,
    origin: undefined,
    secret: undefined,
    proxies: 0,
    smtp: undefined,
    dkim: undefined,
    log: 'warn',
    submitDays: 14,
    offline: false,
  });
});

test('a variable that is set but empty is as good as not set', () => {
  expect(readSettings({ DATABASE_URL: '' }).databaseUrl).toBeUndefined();
});

test('a refused DATABASE_URL is not repeated: it may hold a password', () => {
  const refuse = () => readSettings({ DATABASE_URL: 'mysql://me:hunter2@host/db' });
  expect(refuse).toThrow('DATABASE_URL is not understood; allowed: postgresql://');
  expect(refuse).not.toThrow('hunter2');
});

test.each([
  [{ PORT: 'abc' }, 'PORT is abc; allowed: '],
  [{ PORT: '70000' }, 'PORT is 70000; allowed: at most 65535'],
  [{ PORT: '-1' }, 'PORT is -1; allowed: at least 0'],
  [{ PORT: '1.5' }, 'PORT is 1.5; allowed: a whole number'],
  [{ SACCADE_ZONE: 'Mars/Olympus' }, 'SACCADE_ZONE is Mars/Olympus; allowed: a time zone'],
  [{ SACCADE_SUBMIT_DAYS: '-1' }, 'SACCADE_SUBMIT_DAYS is -1; allowed: at least 0'],
  [{ HOST: '' }, 'HOST is ; allowed: a host name or address'],
  [
    { SACCADE_ORIGIN: 'papers.example.org' },
    'SACCADE_ORIGIN is papers.example.org; allowed: scheme and host',
  ],
  [{ SACCADE_ORIGIN: 'https://example.org/papers' }, 'allowed: scheme and host'],
  [{ SACCADE_LOG: 'all' }, 'SACCADE_LOG is all; allowed: one of error, warn, info'],
  [{ DKIM_DOMAIN: 'example.org' }, 'allowed: all three or none'],
  [
    { DKIM_DOMAIN: 'example.org', DKIM_SELECTOR: 'a', DKIM_KEY_FILE: '/nowhere' },
    'DKIM_KEY_FILE is /nowhere; allowed: a file that can be read',
  ],
  [{ SACCADE_SECRET: 'short' }, 'SACCADE_SECRET is not understood; allowed: at least 32 characters'],
  [{ SMTP_URL: 'smtp://host' }, 'MAIL_FROM is missing'],
  [{ SMTP_URL: 'smtp://host', MAIL_FROM: 'a@b\r\nBcc: c@d' }, 'allowed: an address'],
])('%j is refused with what is allowed', (environment, message) => {
  expect(() => readSettings(environment)).toThrow(message);
});

test('the examples of docs/operations.md set what the README lists, to what is allowed, and start what is there', () => {
  const root = join(import.meta.dirname, '../../../..');
  const text = readFileSync(join(root, 'docs/operations.md'), 'utf8');
  const example = (language: string) =>
    new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(text)?.[1] ?? '';
  const assigned = (from: string, pattern: RegExp) =>
    Object.fromEntries([...from.matchAll(pattern)].map(([, name, value]) => [name, value]));
  const unit = assigned(/^Environment=(.*)$/m.exec(example('ini'))![1], /([A-Z_]+)=(\S+)/g);
  const site = /^ {2}site:\n([\s\S]*?)^\S/m.exec(example('yaml'))![1];
  const compose = assigned(site, /^ {6}([A-Z_]+): "?(.*?)"?$/gm);
  expect([Object.keys(unit).length, Object.keys(compose).length]).toEqual([3, 8]);
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  for (const name of Object.keys({ ...unit, ...compose }))
    expect(readme).toMatch(new RegExp(`^\\|.*\`${name}\``, 'm'));
  expect(readSettings(unit)).toMatchObject({ host: '127.0.0.1', proxies: 1 });
  const filled = (value: string) =>
    value.replace(/\$\{(\w+):[?-]\}/g, (_, name) => (name === 'DATABASE_PASSWORD' ? 'abc' : ''));
  expect(
    readSettings(Object.fromEntries(Object.entries(compose).map(([name, value]) => [name, filled(value)]))),
  ).toMatchObject({
    host: '0.0.0.0',
    origin: 'https://papers.example.org',
    databaseUrl: 'postgresql://saccade:abc@database:5432/saccade',
    secret: undefined,
    smtp: undefined,
  });
  const [, started] = /^ExecStart=\S+ (\S+)$/m.exec(example('ini'))!;
  expect(site).toContain(`command: node ${started}`);
  expect(existsSync(join(root, started))).toBe(true);
});
