import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Message } from './mailer.ts';
import { loginMail } from './messages.ts';
import { outbox } from './outbox.ts';
import { smtp } from './smtp.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-outbox-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const mail = (to: string, subject = 'Hello') => ({ to, subject, text: 'text', html: '<p>text</p>' });

test('the outbox keeps mails as files that only the owner reads, and forgets an address', async () => {
  const box = outbox(join(folder, 'box'));
  expect(await box.kept()).toEqual([]);
  await box.send(mail('ada@example.org', 'first'));
  await box.send(mail('bob@example.org'));
  await box.send(mail('Ada@example.org', 'second'));
  expect((await box.kept()).map(({ to }) => to).sort()).toEqual([
    'Ada@example.org',
    'ada@example.org',
    'bob@example.org',
  ]);
  const [name] = readdirSync(join(folder, 'box'));
  expect(statSync(join(folder, 'box', name)).mode & 0o077).toBe(0);
  await box.forget('ADA@example.org');
  expect((await box.kept()).map(({ to }) => to)).toEqual(['bob@example.org']);
});

test.each<Message>([
  mail('ada@example.org\r\nBcc: eve@example.org'),
  mail('ada@example.org', 'Hello\nX-Evil: 1'),
  { ...mail('ada@example.org'), headers: { 'List-Id': 'a\r\nb' } },
  { ...mail('ada@example.org'), headers: { 'X-A\r\nX-B': 'c' } },
])('a line break in a field is refused, before anything is sent', async (message) => {
  await expect(outbox(folder).send(message)).rejects.toThrow('holds a line break');
  const server = smtp('smtp://127.0.0.1:1', 'saccade@example.org');
  await expect(server.send(message)).rejects.toThrow('holds a line break');
  server.close();
});

test('a login mail holds its link in both parts, as text and escaped', () => {
  const { text, html } = loginMail({
    to: 'a@b.c',
    address: 'http://x/login/link?token=a&next=/"<',
    minutes: 10,
  });
  expect(text).toContain('http://x/login/link?token=a&next=/"<\n');
  expect(html).toContain('href="http://x/login/link?token=a&amp;next=/&quot;&lt;"');
});
