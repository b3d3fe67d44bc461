import { join } from 'node:path';
import { expect, test } from 'vitest';
import { violations } from './testing/browser.ts';
import { artifacts, testedSite } from './testing/pages.ts';

const tested = testedSite();
const { mailedLink } = tested;

test('without JavaScript: from the header to a subscription, changed and ended', async () => {
  const context = await tested.browser.newContext({
    javaScriptEnabled: false,
    viewport: { width: 320, height: 800 },
  });
  const page = await context.newPage();
  await page.goto(tested.site.address);
  await page.getByLabel('Papers by mail').fill('ada@example.org');
  await page.screenshot({ path: join(artifacts, 'subscribe-header-320.png') });
  await page.getByRole('button', { name: 'Subscribe' }).click();
  await page.getByRole('heading', { name: 'Look at your mail' }).waitFor();
  const confirm = mailedLink();
  // Looking at the link, as mail programs do, changes nothing.
  for (let n = 0; n < 2; n++) expect((await fetch(confirm)).status).toBe(200);
  await page.goto(confirm);
  await page.getByLabel('How often').selectOption('weekly');
  await page.getByLabel('Time zone').fill('Europe/Zurich');
  await page.getByRole('button', { name: 'Send me papers' }).click();
  await page.getByText('You are subscribed.').waitFor();
  expect(await page.getByLabel('How often').inputValue()).toBe('weekly');
  expect((await (await fetch(confirm)).text()).includes('used already')).toBe(true);
  await page.getByLabel('Time zone').fill('Nowhere/Land');
  await page.getByRole('button', { name: 'Change' }).click();
  await page.getByText('allowed: a time zone').waitFor();
  await page.getByRole('button', { name: 'Unsubscribe' }).click();
  await page.getByText('No more papers will come by mail.').waitFor();
  await context.close();
});

test('one POST without cookie ends a subscription, as often as it is sent, and nothing else does', async () => {
  const ask = (form: Record<string, string>, path: string) =>
    fetch(`${tested.site.address}${path}`, {
      method: 'POST',
      body: new URLSearchParams(form),
      headers: { origin: tested.site.address },
      redirect: 'manual',
    });
  await ask({ email: 'bob@example.org' }, '/subscribe');
  const token = new URL(mailedLink()).searchParams.get('token')!;
  const begun = await ask({ token, cadence: 'daily', hour: '7', zone: 'UTC' }, '/subscribe/confirm');
  const [manage] = begun.headers.get('location')!.split('?');
  expect(await (await fetch(tested.site.address + manage)).text()).toContain('Unsubscribe');
  for (let n = 0; n < 2; n++) {
    const answer = await fetch(tested.site.address + manage, {
      method: 'POST',
      body: new URLSearchParams({ 'List-Unsubscribe': 'One-Click' }),
      headers: { origin: 'null' },
      redirect: 'manual',
    });
    expect([answer.status, answer.headers.get('set-cookie')]).toEqual([200, null]);
  }
  expect(await (await fetch(tested.site.address + manage)).text()).toContain('No more papers will come');
});

test.each(['light', 'dark'] as const)('the page is in order, %s', async (colorScheme) => {
  const context = await tested.browser.newContext({ colorScheme, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(`${tested.site.address}/subscribe`);
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: join(artifacts, `subscribe-${colorScheme}.png`) });
  await page.goto(tested.site.address);
  await page.screenshot({ path: join(artifacts, `subscribe-feed-${colorScheme}.png`) });
  await context.close();
});

test('the fourth try of one client in an hour is told when to come again', async () => {
  const answers = [];
  for (let n = 0; n < 4; n++)
    answers.push(
      await fetch(`${tested.site.address}/subscribe`, {
        method: 'POST',
        body: new URLSearchParams({ email: `eve-${n}@example.org` }),
        headers: { origin: tested.site.address },
      }),
    );
  const last = answers.at(-1)!;
  expect(last.status).toBe(429);
  expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0);
});
