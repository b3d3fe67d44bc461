import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { entry, ledgerFile, storeLedger } from '../server/testing/fixtures.ts';
import { workerKey } from '../server/testing/worker-key.ts';
import { hydrated, violations } from './testing/browser.ts';
import { artifacts, testedSite } from './testing/pages.ts';
import { peopleOf } from './testing/people.ts';

const tested = testedSite((results) => storeLedger(results, ledgerFile({ slug: 'gna' })));
const { as, grant } = peopleOf(tested);

/** Wide and light, narrow and dark: no sideways scrolling, no violation; a picture of each. */
async function looked(page: Page, name: string, path: string): Promise<void> {
  for (const [width, colorScheme] of [
    [320, 'dark'],
    [1440, 'light'],
  ] as const) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    await page.goto(tested.site.address + path);
    await hydrated(page);
    expect(await violations(page), path).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(width);
    await page.screenshot({
      path: join(artifacts, `site-${name}-${width}-${colorScheme}.png`),
      fullPage: true,
    });
  }
}

const today = () => new Date().toISOString().slice(0, 10);
/** An id of this month: readers may put its paper forward. */
const arxiv = (number: string) => `${today().slice(2, 4)}${today().slice(5, 7)}.${number}`;

describe('a reader who knows a paper', () => {
  test('puts it forward, with its facts typed in where arXiv cannot be asked; is told of refusal and listing', async () => {
    grant('ruth@example.org', 'admin');
    const [root, ada] = [await as('ruth@example.org', 'ruth'), await as('ada@example.org', 'ada')];
    await ada.page.goto(`${tested.site.address}/submit`);
    await hydrated(ada.page);
    const id = ada.page.getByLabel('arXiv id or address');
    await id.fill('not an id');
    await ada.page.getByRole('button', { name: 'Submit', exact: true }).click();
    await ada.page.getByText('paper is “not an id”; allowed: an arXiv id such as 2407.13168').waitFor();
    await id.fill('https://arxiv.org/abs/2403.04690v2');
    await ada.page.getByRole('button', { name: 'Submit', exact: true }).click();
    await ada.page.getByText('This paper is here already.').waitFor();
    expect(new URL(ada.page.url()).pathname).toBe('/papers/fna');

    const submit = async (number: string, title: string) => {
      await ada.page.goto(`${tested.site.address}/submit?paper=${arxiv(number)}`);
      await hydrated(ada.page);
      await ada.page.getByLabel(/Why it belongs/).fill('It attends to windows.');
      await ada.page.keyboard.press('Tab');
      await ada.page.keyboard.press('Enter');
      await ada.page.getByText('arXiv could not be asked').waitFor();
      await ada.page.getByLabel('Title').fill(title);
      await ada.page.getByLabel(/^Authors/).fill('Ada Lovelace\nKurt Gödel');
      await ada.page.getByLabel('Abstract').fill('We attend to *windows*.');
      await ada.page.getByLabel('Published on').fill('2019-01-01');
      await ada.page.getByRole('button', { name: 'Submit', exact: true }).click();
      await ada.page.getByText('published is 2019-01-01; allowed: a day of').waitFor();
      // Nothing that was typed is lost.
      expect(await ada.page.getByLabel('Title').inputValue()).toBe(title);
      await ada.page.getByLabel('Published on').fill(today());
      await ada.page.getByRole('button', { name: 'Submit', exact: true }).click();
      await ada.page.getByText(`Thank you: ${arxiv(number)} waits`).waitFor();
    };
    await submit('00011', 'Windows everywhere');
    await submit('00012', 'Buy my course');
    await looked(ada.page, 'submit', '/submit');
    expect((await ada.context.request.get(`${tested.site.address}/admin/submissions`)).status()).toBe(403);

    await root.page.goto(`${tested.site.address}/admin/submissions`);
    await hydrated(root.page);
    const spam = root.page.locator('.comment', { hasText: 'Buy my course' });
    await spam.getByLabel('Reason, which ada sees').fill('No advertising.');
    await spam.getByRole('button', { name: 'Refuse' }).click();
    await root.page.getByText('Refused: No advertising.').waitFor();
    await looked(root.page, 'admin-submissions', '/admin/submissions');
    await root.page.getByRole('button', { name: /^List it today.*Windows everywhere/ }).click();
    await root.page.getByRole('link', { name: 'Windows everywhere' }).waitFor();

    await ada.page.goto(tested.site.address);
    await ada.page.getByRole('link', { name: 'For you (2)' }).click();
    await ada.page.getByText('No advertising.').waitFor();
    await looked(ada.page, 'notified', '/notifications');
    await ada.page.getByRole('button', { name: 'Mark all as read' }).click();
    await ada.page.getByRole('link', { name: 'For you', exact: true }).waitFor();
    await ada.page.getByRole('link', { name: 'Windows everywhere' }).click();
    await ada.page.getByRole('heading', { name: 'Windows everywhere' }).waitFor();
    expect(
      (await (await fetch(`${tested.site.address}/api/daily_papers?date=${today()}`)).json())[0].title,
    ).toBe('Windows everywhere');

    // Too many in a day.
    const cookie = (await ada.context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
    let answer: Response | undefined;
    for (let i = 0; i < 21 && answer?.status !== 429; i++)
      answer = await fetch(`${tested.site.address}/submit`, {
        method: 'POST',
        headers: { origin: tested.site.address, cookie },
        body: new URLSearchParams({ paper: 'x' }),
      });
    expect(answer?.status).toBe(429);
    expect(Number(answer?.headers.get('retry-after'))).toBeGreaterThan(3600);
    expect([...ada.complaints, ...root.complaints].filter((line) => !line.includes('status of 4'))).toEqual(
      [],
    );
    await ada.context.close();
    await root.context.close();
  }, 240_000);
});

describe('machines', () => {
  test('are registered, measure what a curator queues from the ledger, and stand in it by name', async () => {
    grant('ruth@example.org', 'admin');
    const root = await as('ruth@example.org', 'ruth');
    const { page } = root;
    const machine = workerKey();
    await page.goto(`${tested.site.address}/admin/machines`);
    await hydrated(page);
    await page.getByLabel(/^Name/).fill('lab-h100');
    await page.getByLabel('Public key').fill(machine.key);
    await page.getByRole('button', { name: 'Register' }).click();
    await page.getByText('not heard of yet').waitFor();

    await page.goto(`${tested.site.address}/papers/gna`);
    await hydrated(page);
    await page.getByText('measure again').first().click();
    await page.getByRole('button', { name: 'Queue it for any machine' }).first().click();
    await page.waitForURL(/\/admin\/measurements/);
    await page.locator('.label', { hasText: 'queued' }).waitFor();
    await page.locator('select[name=paper]').selectOption('gna');
    await page.getByRole('button', { name: 'Queue', exact: true }).click();
    await page.getByText('That is queued or running already.').waitFor();
    await page.locator('select[name=worker]').selectOption('lab-h100');
    await page.locator('select[name=paper]').selectOption('fna');
    await page.getByRole('button', { name: 'Queue', exact: true }).click();
    await page.getByText('for lab-h100').waitFor();
    await page.getByRole('button', { name: /^Cancel .*Generalized/i }).waitFor();

    const say = async (fields: object) => {
      const response = await fetch(`${tested.site.address}/worker`, {
        method: 'POST',
        ...machine.message(fields),
      });
      expect(response.status).toBe(200);
      return response.json();
    };
    const file = ledgerFile({ slug: 'gna', entries: [entry({ values: { timesFasterThanDense: 7.25 } })] });
    const { taken } = await say({ kind: 'claim', machine: file.machine, papers: ['gna'] });
    await say({ kind: 'progress', job: taken.job, lease: taken.lease, text: 'gna 1/3 a-claim: 40 %' });
    await looked(page, 'admin-measurements', '/admin/measurements');
    await page.getByText('gna 1/3 a-claim: 40 %').waitFor();
    await say({ kind: 'result', job: taken.job, lease: taken.lease, ledger: file });
    await looked(page, 'admin-machines', '/admin/machines');
    await page.getByText('1 paper measured').waitFor();

    for (const path of ['/papers/gna', '/ledger']) {
      await page.goto(tested.site.address + path);
      const row = page.locator('.ledger tr', { hasText: 'lab-h100' });
      expect(await row.count(), path).toBe(1);
      expect(await row.textContent(), path).toContain('7.25');
    }
    // The stored file's row is still there, beside it.
    await page.goto(`${tested.site.address}/papers/gna`);
    await hydrated(page);
    expect(await page.locator('.ledger tr', { hasText: 'Test adapter' }).count()).toBe(4);
    const row = page.locator('.ledger tr', { hasText: 'lab-h100' });
    const link = await row.getByRole('link', { name: 'raw samples, signed' }).getAttribute('href');
    const stored = (await (await fetch(tested.site.address + link)).json()).ledger;
    expect(stored.entries[0].values).toEqual({ timesFasterThanDense: 7.25 });
    await row.getByText('measure again').click();
    await row.getByRole('button', { name: 'Queue it for lab-h100' }).click();
    await page.waitForURL(/\/admin\/measurements/);
    await page.locator('.comment', { hasText: 'for lab-h100' }).nth(1).waitFor();
    await page
      .getByRole('button', { name: /^Cancel/ })
      .first()
      .click();
    await page.locator('.label', { hasText: 'cancelled' }).waitFor();
    await page.getByRole('button', { name: /^Try again/ }).click();
    await expect.poll(() => page.locator('.label', { hasText: 'cancelled' }).count()).toBe(0);

    // A reader sees how to measure, and no button.
    const reader = await tested.fresh();
    await reader.page.goto(`${tested.site.address}/papers/gna`);
    await hydrated(reader.page);
    await reader.page.getByText('measure again').first().click();
    await reader.page.getByText('npx saccade check gna', { exact: false }).first().waitFor();
    expect(await reader.page.getByRole('button', { name: /^Queue/ }).count()).toBe(0);
    await looked(reader.page, 'paper-ledger', '/papers/gna');
    await reader.context.close();
    expect(root.complaints.filter((line) => !line.includes('status of 409'))).toEqual([]);
    await root.context.close();
  }, 240_000);
});

describe('imports', () => {
  test('are planned, run now, paused and removed by an admin', async () => {
    grant('ruth@example.org', 'admin');
    const { page, context } = await as('ruth@example.org', 'ruth');
    await page.goto(`${tested.site.address}/admin/imports`);
    await hydrated(page);
    await page.getByLabel(/^Which/).fill('cs LG!');
    await page.getByRole('button', { name: 'Import daily' }).click();
    await page.getByText('allowed: a category such as cs.LG').waitFor();
    await page.getByLabel(/^Which/).fill('cs.LG, cs.CV');
    await page.getByLabel('Hour').selectOption('5');
    await page.getByRole('button', { name: 'Import daily' }).click();
    await page.getByText('Has not run yet').waitFor();
    await page.getByRole('button', { name: /^Run now/ }).click();
    await expect
      .poll(
        async () => {
          await page.reload();
          return page.getByText('SACCADE_OFFLINE is set').count();
        },
        { timeout: 30_000 },
      )
      .toBe(1);
    await page.getByRole('button', { name: /^Pause/ }).click();
    await page.getByRole('button', { name: /^Resume/ }).waitFor();
    await looked(page, 'admin-imports', '/admin/imports');
    await page.getByRole('button', { name: /^Remove/ }).click();
    await page.getByText('Nothing is imported by itself yet.').waitFor();
    await context.close();
  }, 240_000);
});
