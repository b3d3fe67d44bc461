import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { expect } from 'vitest';
import type { TestedSite } from './pages.ts';

/** Accounts of a tested site. */
export function peopleOf(tested: TestedSite) {
  /** Logs in on the page, by the form and the mailed link, and has the name changed if one is given. */
  async function login(page: Page, email: string, name?: string): Promise<void> {
    if (!page.url().includes('/login')) await page.goto(`${tested.site.address}/login`);
    await page.getByLabel('Mail address').fill(email);
    await page.getByRole('button', { name: 'Send me a link' }).click();
    await page.getByText('Look at your mail').waitFor();
    await page.goto(tested.mailedLink());
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.waitForURL((url) => !url.pathname.startsWith('/login'));
    if (!name) return;
    const back = page.url();
    await page.goto(`${tested.site.address}/account`);
    await page.getByLabel('Name that others see').fill(name);
    await page.getByRole('button', { name: 'Change' }).click();
    await page.getByText(`You are ${name}`).first().waitFor();
    await page.goto(back);
  }

  /** Sessions by address: logins are limited, so each account logs in once. */
  const sessions = new Map<string, Awaited<ReturnType<BrowserContext['storageState']>>>();

  /** A page of its own for who is logged in. */
  async function as(email: string, name?: string) {
    const storageState = sessions.get(email);
    if (storageState) return tested.fresh({ storageState });
    const visit = await tested.fresh();
    await login(visit.page, email, name);
    sessions.set(email, await visit.context.storageState());
    return visit;
  }

  /** Gives an account a role as `saccade role` does, while the site serves. */
  function grant(email: string, role: string): void {
    const made = spawnSync(
      process.execPath,
      [join(import.meta.dirname, '../../server/role.ts'), email, role],
      {
        env: { ...process.env, DATABASE_URL: '', SACCADE_DATA: tested.data },
        encoding: 'utf8',
      },
    );
    expect(made.stderr).toBe('');
  }
  return { login, as, grant };
}
