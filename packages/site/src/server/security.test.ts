import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import { localPath, pageOf } from './act.ts';
import { CLIENT_HEADER, clientAddress, headers, sameOrigin } from './security.ts';

const origin = 'https://papers.example.org';
const app = new Hono();
app.use('*', headers(origin));
app.use('*', sameOrigin(origin));
app.use('*', clientAddress(1));
app.all('*', (context) => context.html(context.req.raw.headers.get(CLIENT_HEADER) ?? ''));

const ask = (given: Record<string, string>, method = 'POST') =>
  app.request('http://127.0.0.1:4173/vote', { method, headers: given });

describe('what changes something', () => {
  test.each([
    [200, { 'sec-fetch-site': 'same-origin', cookie: 'saccade=x' }],
    [403, { 'sec-fetch-site': 'cross-site', cookie: 'saccade=x' }],
    [403, { 'sec-fetch-site': 'same-site', cookie: 'saccade=x' }],
    [403, { 'sec-fetch-site': 'cross-site', origin }],
    [200, { origin, cookie: 'saccade=x' }],
    [200, { origin: 'http://127.0.0.1:4173', cookie: 'saccade=x' }],
    [403, { origin: 'https://evil.example', cookie: 'saccade=x' }],
    [403, { origin: 'https://papers.example.org.evil.example' }],
    [403, { origin: 'null' }],
    [403, { cookie: 'saccade=x' }],
    [200, {}],
  ])('answers %i to %j', async (status, given) => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'])
      expect((await ask(given, method)).status, method).toBe(status);
    expect((await ask(given, 'GET')).status).toBe(200);
  });
});

test('every answer has the headers, also a refusal', async () => {
  for (const answer of [await ask({}), await ask({ origin: 'null' }), await ask({}, 'GET')])
    for (const [name, value] of [
      ['cross-origin-opener-policy', 'same-origin'],
      ['cross-origin-embedder-policy', 'require-corp'],
      ['x-content-type-options', 'nosniff'],
      ['referrer-policy', 'strict-origin-when-cross-origin'],
      ['strict-transport-security', 'max-age=31536000'],
      ['content-security-policy', "frame-ancestors 'none'"],
      ['content-security-policy', "base-uri 'none'"],
    ])
      expect(answer.headers.get(name), name).toContain(value);
});

test('pages of who is logged in are in no cache', async () => {
  expect((await ask({ cookie: 'saccade=x' }, 'GET')).headers.get('cache-control')).toBe('private, no-store');
  expect((await ask({}, 'GET')).headers.get('cache-control')).toBe('no-cache');
});

test('the client is whom the nearest proxy saw; what a client says of itself does not count', async () => {
  const text = async (given: Record<string, string>) => (await ask(given, 'GET')).text();
  expect(await text({ 'x-forwarded-for': '6.6.6.6, 1.2.3.4' })).toBe('1.2.3.4');
  expect(await text({ [CLIENT_HEADER]: '6.6.6.6' })).toBe('unknown');
});

test.each([
  ['/papers/fna?x=1#y', '/papers/fna?x=1#y'],
  ['//evil.example', '/'],
  ['/\\evil.example', '/'],
  ['https://evil.example', '/'],
  ['javascript:alert(1)', '/'],
  ['/a\r\nSet-Cookie: x=1', '/aSet-Cookie:%20x=1'],
  ['/\t/evil.example', '/'],
  ['', '/'],
  [undefined, '/'],
])('after a login %j leads to %s', (given, path) => {
  expect(localPath(given, '/')).toBe(path);
});

test.each([
  ['/library.data?tag=a&_routes=root', '/library?tag=a'],
  ['/_root.data?index', '/'],
  ['/_.data', '/'],
  ['/papers/fna', '/papers/fna'],
])('the page behind %s is %s', (asked, page) => {
  const { pathname, search } = pageOf(new Request(`http://localhost${asked}`));
  expect(pathname + search).toBe(page);
});
