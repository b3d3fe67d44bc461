import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { scriptCorpus } from '../server/testing/script-corpus.ts';
import { hydrated, violations } from './testing/browser.ts';
import { artifacts, testedSite } from './testing/pages.ts';
import { peopleOf } from './testing/people.ts';

const tested = testedSite();
const { data, fresh } = tested;
const { login, as, grant } = peopleOf(tested);

const cookieOf = async (context: BrowserContext) =>
  (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');

/** Where nothing is to be run: papers without a lab load faster. */
const paper = '/papers/hisa';

describe('a reader', () => {
  test('votes: is sent to log in, comes back, votes; a double click is one vote, which stays', async () => {
    const { context, page, complaints } = await fresh();
    await page.goto(`${tested.site.address}/?q=hisa`);
    await hydrated(page);
    const vote = page.locator('.card .vote button');
    await vote.click();
    await page.waitForURL(/\/login\?next=/);
    await page.getByText('What you were about to do needs an account').waitFor();
    await login(page, 'ada@example.org');
    expect(page.url()).toBe(`${tested.site.address}/?q=hisa`);
    await hydrated(page);
    await vote.click();
    await page.waitForFunction(
      () => document.querySelector('.card .vote button')?.getAttribute('aria-pressed') === 'true',
    );
    await page.waitForLoadState('networkidle');
    expect(page.url()).toBe(`${tested.site.address}/?q=hisa`);
    await page.reload();
    expect(await vote.textContent()).toContain('1');
    await hydrated(page);
    await vote.evaluate((button: HTMLElement) => {
      button.click();
      button.click();
    });
    await page.waitForLoadState('networkidle');
    await page.reload();
    expect(await vote.textContent()).toContain('0');
    // Opened once more, the link tells that nothing is left to do.
    await page.goto(tested.mailedLink());
    await page.getByText('You are logged in already').waitFor();
    await page.getByRole('link', { name: 'Go on' }).click();
    await page.waitForURL(`${tested.site.address}/?q=hisa`);
    expect(complaints).toEqual([]);
    await context.close();
  });

  test('writes, answers, edits, sees the history and deletes; the other is told once', async () => {
    const [ada, bob] = [await as('ada@example.org', 'ada'), await as('bob@example.org', 'bob')];
    await ada.page.goto(tested.site.address + paper);
    await hydrated(ada.page);
    await ada.page.getByLabel('Your comment').fill('Is it $O(n)$? @bob');
    await ada.page.getByRole('button', { name: 'Comment', exact: true }).click();
    const said = ada.page.locator('.comment');
    await said.waitFor();
    expect(await said.locator('math').count()).toBe(1);
    await expect.poll(() => ada.page.getByLabel('Your comment').last().inputValue()).toBe('');
    await bob.page.goto(tested.site.address);
    await bob.page.getByText('For you (1)').click();
    await bob.page.getByText('mentioned you').waitFor();
    await bob.page.getByRole('button', { name: 'Mark all as read' }).click();
    await bob.page.getByText('For you', { exact: true }).first().waitFor();
    await bob.page.goto(tested.site.address + paper);
    await hydrated(bob.page);
    await bob.page.getByText('Reply', { exact: true }).first().click();
    await bob.page.getByLabel('Your reply').fill('Nearly.');
    await bob.page.getByRole('button', { name: 'Reply' }).click();
    await bob.page.locator('.replies .comment').waitFor();
    await ada.page.reload();
    await hydrated(ada.page);
    await ada.page.getByText('Edit', { exact: true }).first().click();
    await ada.page.locator('.comment').first().getByLabel('Your comment').fill('Is it $O(n \\log n)$? @bob');
    await ada.page.getByRole('button', { name: 'Save' }).click();
    await ada.page.getByRole('link', { name: 'edited' }).click();
    await ada.page.waitForURL(/\/comments\//);
    await expect.poll(() => ada.page.locator('.comment').count()).toBe(2);
    expect(await violations(ada.page)).toEqual([]);
    await bob.page.goto(tested.site.address);
    expect(await bob.page.locator('.you').textContent()).not.toContain('(');
    await ada.page.goto(tested.site.address + paper);
    await hydrated(ada.page);
    await ada.page.getByText('Delete', { exact: true }).click();
    await ada.page.getByRole('button', { name: 'Delete it' }).click();
    await ada.page.getByText('Deleted by its author.').waitFor();
    expect(await ada.page.locator('.replies .comment').textContent()).toContain('Nearly.');
    expect([...ada.complaints, ...bob.complaints]).toEqual([]);
    await ada.context.close();
    await bob.context.close();
  });

  test('does all of it without JavaScript', async () => {
    const { context, page } = await fresh({ javaScriptEnabled: false });
    await login(page, 'plain@example.org');
    await page.goto(`${tested.site.address}/?q=hisa`);
    await page.locator('.card .vote button').click();
    expect(page.url()).toBe(`${tested.site.address}/?q=hisa`);
    expect(await page.locator('.card .vote button').getAttribute('aria-pressed')).toBe('true');
    await page.locator('.card .vote button').click();
    expect(await page.locator('.card .vote button').getAttribute('aria-pressed')).toBe('false');
    await page.goto(tested.site.address + paper);
    await page.getByLabel('Your comment').fill('Plain *forms*. https://a.example https://b.example');
    await page.getByRole('button', { name: 'Comment', exact: true }).click();
    expect(await page.getByRole('alert').textContent()).toContain('2 links; allowed: one');
    expect(await page.getByLabel('Your comment').inputValue()).toContain('https://a.example');
    await page.getByLabel('Your comment').fill('Plain *forms*.');
    await page.getByRole('button', { name: 'Comment', exact: true }).click();
    expect(page.url()).toMatch(/#comment-/);
    expect(await page.locator('.comment', { hasText: 'Plain' }).locator('em').textContent()).toBe('forms');
    await context.close();
  });

  test('takes the data along, and deletes the account: its address is in no file any more', async () => {
    const { context, page } = await fresh();
    await login(page, 'leaving@example.org');
    const answer = await context.request.get(`${tested.site.address}/account/export`);
    expect(await answer.json()).toMatchObject({ account: { email: 'leaving@example.org' } });
    await page.goto(`${tested.site.address}/account`);
    await page.getByText('Delete the account').click();
    await page.getByLabel(/Write delete/).fill('delete');
    await page.getByRole('button', { name: 'Delete my account' }).click();
    await page.waitForURL(`${tested.site.address}/`);
    expect(await page.locator('.you').textContent()).toBe('Log in');
    for (const name of readdirSync(join(data, 'outbox')))
      expect(readFileSync(join(data, 'outbox', name), 'utf8')).not.toContain('leaving@example.org');
    expect(tested.site.said()).not.toContain('example.org');
    await context.close();
  });
});

describe('the library', () => {
  test('keeps a paper with tags, recommends by a tag, and saves a search that shows a new paper once', async () => {
    const { context, page, complaints } = await as('ada@example.org');
    for (const slug of ['hisa', 'aff']) {
      await page.goto(`${tested.site.address}/papers/${slug}`);
      await hydrated(page);
      await page.getByText('Keep in your library').click();
      await page.getByLabel('bookmarked').check();
      await page.getByLabel('How far you are').selectOption('to read');
      await page.getByLabel(/Tags/).fill('Mine, to try, mine');
      await page.getByLabel(/Note/).fill('For *Monday*');
      await page.getByRole('button', { name: 'Keep' }).click();
      await page.getByText('In your library: bookmarked, to read, #mine, #to try').waitFor();
    }
    await page.getByRole('link', { name: 'Library' }).click();
    await page.getByRole('link', { name: '#mine (2)' }).click();
    await page.getByRole('heading', { name: 'More like #mine' }).waitFor();
    expect(await page.locator('section', { hasText: 'More like' }).locator('ol li').count()).toBe(5);
    await page.goto(`${tested.site.address}/?family=local`);
    await hydrated(page);
    await page.getByText('Save this search').click();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.waitForURL(/\/library/);
    expect(await page.locator('section', { hasText: 'Saved searches' }).textContent()).toContain(
      'nothing new',
    );
    for (const [width, colorScheme] of [
      [320, 'dark'],
      [1440, 'light'],
    ] as const) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      await page.goto(`${tested.site.address}/library?tag=mine`);
      await hydrated(page);
      expect(await violations(page)).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      await page.screenshot({
        path: join(artifacts, `site-library-${width}-${colorScheme}.png`),
        fullPage: true,
      });
    }
    expect(complaints).toEqual([]);
    await context.close();
  });
});

describe('scripts in comments', () => {
  test(`${scriptCorpus.length} attempts run none, and load nothing`, async () => {
    // A new reader may put one link into a comment; these have many.
    grant('mallory@example.org', 'author');
    const { context, page } = await as('mallory@example.org');
    const cookie = await cookieOf(context);
    const ask = (intent: Record<string, string>) =>
      fetch(`${tested.site.address}/papers/aff`, {
        method: 'POST',
        headers: { cookie, origin: tested.site.address },
        body: new URLSearchParams(intent),
        redirect: 'manual',
      });
    // Five comments a minute, and one link in each: so one comment carries many attempts, and addresses stay here.
    const attempts = scriptCorpus.map((text) =>
      text.replaceAll('https://example.org', '/x').replaceAll('\0', ''),
    );
    for (let from = 0; from < attempts.length; from += 16) {
      const answer = await ask({ intent: 'comment', text: attempts.slice(from, from + 16).join('\n\n') });
      expect(answer.status).toBe(302);
    }
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    const violated: string[] = [];
    page.on('console', (message) => violated.push(message.text()));
    await page.goto(`${tested.site.address}/papers/aff`);
    await hydrated(page);
    await page.waitForTimeout(500);
    expect(await page.locator('.comment').count()).toBe(4);
    expect(await page.evaluate(() => 'pwned' in window)).toBe(false);
    expect(await page.locator('.said script, .said img, .said iframe, .said svg, .said form').count()).toBe(
      0,
    );
    expect(asked.filter((url) => !url.startsWith(tested.site.address))).toEqual([]);
    expect(violated).toEqual([]);
    await context.close();
  });
});

describe('a curator', () => {
  test('is made by the command while the site serves; decides reports, claims and accounts, and all of it is audited', async () => {
    grant('ruth@example.org', 'admin');
    const [root, eve] = [await as('ruth@example.org', 'ruth'), await as('eve@example.org', 'eve')];
    await eve.page.goto(`${tested.site.address}/papers/kernelized-rpe`);
    await hydrated(eve.page);
    await eve.page.getByLabel('Your comment').fill('Buy my course');
    await eve.page.getByRole('button', { name: 'Comment', exact: true }).click();
    await eve.page.locator('.comment').waitFor();
    await eve.page.getByText('Are you an author?').click();
    await eve.page.getByLabel('Your name, as on the paper').fill('E. Ve');
    await eve.page.getByLabel(/How a curator/).fill('My page says so');
    await eve.page.getByRole('button', { name: 'Claim this paper' }).click();
    await eve.page.getByText(': pending').waitFor();
    for (const path of ['reports', 'claims', 'accounts', 'audit', 'outbox'])
      expect((await eve.context.request.get(`${tested.site.address}/admin/${path}`)).status(), path).toBe(
        403,
      );

    await root.page.goto(`${tested.site.address}/papers/kernelized-rpe`);
    await hydrated(root.page);
    await root.page.getByText('Report', { exact: true }).first().click();
    await root.page.getByLabel('What is wrong with it?').fill('Advertising');
    await root.page.getByRole('button', { name: 'Report' }).click();
    await root.page.getByText('a curator will look at it').waitFor();
    await root.page.getByText('Moderate').click();
    await root.page.getByLabel('Reason, which everybody sees').fill('No advertising.');
    await root.page.getByRole('button', { name: 'Remove it' }).click();
    await root.page.getByRole('button', { name: 'Put it back' }).waitFor();
    await eve.page.goto(`${tested.site.address}/papers/kernelized-rpe`);
    expect(await eve.page.locator('.comment').textContent()).toContain(
      'Removed by a curator: No advertising.',
    );
    await root.page.getByRole('link', { name: 'Claims' }).click();
    await root.page.getByLabel('Reason, which the claimant sees').fill('Seen.');
    await root.page.getByRole('button', { name: 'Confirm' }).click();
    await root.page.getByText('Decide again').waitFor();
    await root.page.getByRole('link', { name: 'Accounts' }).click();
    await root.page.getByLabel('Name', { exact: true }).fill('eve');
    await root.page.getByRole('button', { name: 'Search' }).click();
    await root.page.waitForURL(/q=eve/);
    await root.page.locator('.comment summary', { hasText: 'Suspend' }).first().click();
    await root.page.getByLabel('Reason, for the audit log').fill('Spam');
    await root.page.getByRole('button', { name: 'Suspend', exact: true }).click();
    await root.page.locator('.label', { hasText: 'suspended' }).waitFor();
    await eve.page.goto(`${tested.site.address}/account`);
    expect(eve.page.url()).toContain('/login');

    for (const path of ['reports', 'claims', 'accounts', 'audit', 'outbox']) {
      for (const [width, colorScheme] of [
        [320, 'dark'],
        [1440, 'light'],
      ] as const) {
        await root.page.setViewportSize({ width, height: 800 });
        await root.page.emulateMedia({ colorScheme });
        await root.page.goto(`${tested.site.address}/admin/${path}`);
        expect(await violations(root.page), path).toEqual([]);
        expect(
          await root.page.evaluate(() => document.documentElement.scrollWidth),
          path,
        ).toBeLessThanOrEqual(width);
        await root.page.screenshot({
          path: join(artifacts, `site-admin-${path}-${width}-${colorScheme}.png`),
          fullPage: true,
        });
      }
    }
    const audit = await (await root.context.request.get(`${tested.site.address}/admin/audit`)).text();
    for (const words of ['remove comment', 'confirm authorship', 'suspend', 'grant role'])
      expect(audit).toContain(words);
    expect(root.complaints).toEqual([]);
    await root.context.close();
    await eve.context.close();
  });
});

describe('pages of accounts', () => {
  test.each([
    ['login', '/login'],
    ['login-link', '/login/link?token=x'],
    ['user', '/users/ada'],
    ['account', '/account'],
    ['notifications', '/notifications'],
    ['discussion', '/papers/hisa'],
  ])(
    '%s: wide and narrow, light and dark: no sideways scrolling, no violation, no complaint',
    async (name, path) => {
      const { context, page, complaints } = path.startsWith('/login')
        ? await fresh()
        : await as('ada@example.org');
      for (const [width, colorScheme] of [
        [320, 'light'],
        [320, 'dark'],
        [1440, 'light'],
        [1440, 'dark'],
      ] as const) {
        await page.setViewportSize({ width, height: 800 });
        await page.emulateMedia({ colorScheme });
        await page.goto(tested.site.address + path);
        await hydrated(page);
        expect(await violations(page)).toEqual([]);
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
        await page.screenshot({
          path: join(artifacts, `site-${name}-${width}-${colorScheme}.png`),
          fullPage: true,
        });
      }
      expect(complaints).toEqual([]);
      await context.close();
    },
  );
});

describe('what comes from elsewhere, or too often', () => {
  test.each([
    ['/papers/fna', { intent: "vote'; DROP TABLE users;--" }],
    ['/papers/fna', { intent: 'vote', wanted: '2' }],
    ['/papers/fna', { intent: 'edit', comment: "x' OR 1=1", text: 'x' }],
    ['/papers/fna', { intent: 'comment', text: 'a\0b' }],
    ['/papers/fna', { intent: 'comment', text: `${'x'.repeat(10)} `.repeat(1000) }],
    ['/papers/%00', { intent: 'vote', wanted: '1' }],
    ['/papers/unheard-of', { intent: 'vote', wanted: '1' }],
    ['/account', { intent: 'rename', name: 'a\r\nSet-Cookie: x=1' }],
    ['/account', { intent: 'delete', sure: 'no' }],
    ['/login', { email: 'a@b.c\r\nBcc: d@e.f' }],
    ['/login', { email: "'; DROP TABLE users;--" }],
    ['/login/link', { token: "' OR ''='" }],
    ['/admin/reports', { intent: 'remove', comment: 'x', reason: 'y' }],
  ])(
    '%s refuses %.100j with 4xx, and who is not logged in is sent to log in',
    async (path, form: Record<string, string>) => {
      const post = (from: Record<string, string>) =>
        fetch(tested.site.address + path, {
          method: 'POST',
          headers: from,
          body: new URLSearchParams(form),
          redirect: 'manual',
        });
      const stranger = await post({ origin: tested.site.address });
      expect(stranger.status === 302 || (stranger.status >= 400 && stranger.status < 500)).toBe(true);
      // Who is logged in has nothing to do at the login.
      if (path === '/login') return;
      const { context } = await as('ada@example.org');
      const cookie = await cookieOf(context);
      const answer = await post({ origin: tested.site.address, cookie });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
      expect((await post({ origin: 'https://evil.example', cookie })).status).toBe(403);
      await context.close();
    },
  );

  test.each([
    '/users/%00',
    '/users/nobody',
    '/comments/%00',
    '/comments/00000000-0000-0000-0000-000000000000',
  ])('%s is not there', async (path) => {
    expect((await fetch(tested.site.address + path)).status).toBe(404);
  });

  test('the sixth link to one address in an hour is refused with Retry-After', async () => {
    const ask = () =>
      fetch(`${tested.site.address}/login`, {
        method: 'POST',
        headers: { origin: tested.site.address },
        body: new URLSearchParams({ email: 'limits@example.org' }),
      });
    for (let i = 0; i < 5; i++) expect((await ask()).status).toBe(200);
    const refused = await ask();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3000);
  });
});
