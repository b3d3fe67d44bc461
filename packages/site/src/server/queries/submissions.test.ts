import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Viewer } from '../accounts/accounts.ts';
import { importPapers } from '../import/import.ts';
import { arxivLookUp } from '../import/look-up.ts';
import type { ImportedPaper } from '../import/record.ts';
import { preparePapers } from '../prepare.ts';
import { onEachEngine } from '../testing/databases.ts';
import { person } from '../testing/people.ts';
import { openSite, type TestSite } from '../testing/site.ts';
import { findPaper } from './papers.ts';
import {
  allSubmissions,
  approveSubmission,
  knownPaper,
  refuseSubmission,
  submissionsOf,
  submitPaper,
} from './submissions.ts';
import { exportOf, markRead, unreadCount } from './users.ts';

const paper = (over: Partial<ImportedPaper> = {}): ImportedPaper & { arxiv: string } =>
  ({
    source: 'arxiv',
    arxiv: '2611.01234',
    version: 1,
    title: 'Attention on Tuesdays',
    authors: ['Ada Lovelace', 'Kurt Gödel'],
    abstract: 'It attends.',
    abstractSource: 'arXiv',
    abstractLicence: null,
    publishedAt: '2026-11-20T12:00:00.000Z',
    revisedAt: null,
    withdrawnAt: null,
    listedAt: null,
    categories: ['cs.LG'],
    doi: null,
    journal: null,
    links: [],
    ...over,
  }) as ImportedPaper & { arxiv: string };
const now = new Date('2026-11-25T12:00:00Z');

onEachEngine('submissions', (open) => {
  let site: TestSite;
  let database: TestSite['database'];
  let ada: Viewer;
  let curator: Viewer;
  beforeAll(async () => {
    site = await openSite('UTC', open);
    ({ database } = site);
    ada = await person(database, 'ada');
    curator = await person(database, 'cora', { role: 'curator' });
  }, 120_000);
  afterAll(() => site?.close());
  beforeEach(async () => {
    await database.query('DELETE FROM submissions');
    await database.query("DELETE FROM papers WHERE source <> 'catalogue'");
  });

  const submit = (over: Partial<Parameters<typeof submitPaper>[1]> = {}) =>
    submitPaper(database, {
      paper: paper(),
      source: 'arxiv',
      note: 'new',
      viewer: ada,
      days: 14,
      now,
      ...over,
    });

  test('an approved paper is in the edition of today, is found, and its reader is told once', async () => {
    expect(await knownPaper(database, '2611.01234')).toBeUndefined();
    await submit();
    const [{ id, status, name }] = await allSubmissions(database);
    expect({ status, name }).toEqual({ status: 'pending', name: 'ada' });
    expect(await unreadCount(database, ada.id)).toBe(0);
    await approveSubmission(database, { id, actor: curator, zone: 'UTC' });
    await preparePapers(database, 'UTC');
    const stored = await findPaper(database, { arxiv: '2611.01234' });
    expect(stored).toMatchObject({
      slug: '2611-01234',
      title: 'Attention on Tuesdays',
      authors: ['Ada Lovelace', 'Kurt Gödel'],
      listedOn: new Date().toISOString().slice(0, 10),
    });
    expect((await site.get('/api/papers/search?q=attention+on+tuesdays')).text).toContain('2611.01234');
    const [theirs] = JSON.parse((await site.get('/api/daily_papers?submitter=ada')).text);
    expect(theirs).toMatchObject({ paper: { id: '2611.01234' }, submittedBy: { name: 'ada', type: 'user' } });
    expect((await site.get('/api/daily_papers?submitter=saccade&limit=100')).text).not.toContain(
      '2611.01234',
    );
    expect((await submissionsOf(database, ada.id))[0]).toMatchObject({ slug: '2611-01234', isNew: true });
    expect(await unreadCount(database, ada.id)).toBe(1);
    await markRead(database, ada.id);
    expect(await unreadCount(database, ada.id)).toBe(0);
    await expect(approveSubmission(database, { id, actor: curator, zone: 'UTC' })).rejects.toThrow('already');
    // From now on it is known.
    expect(await knownPaper(database, '2611.01234')).toBe('2611-01234');
    expect((await exportOf(database, ada.id)).submissions).toHaveLength(1);
  });

  test('what waits or was refused is not put forward again, and says so; a curator may still take it', async () => {
    await submit();
    await expect(knownPaper(database, '2611.01234')).rejects.toThrow('waits for the curators already');
    const settled = await Promise.allSettled([1, 2, 3].map(() => submit({ viewer: curator })));
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    const [{ id }] = await allSubmissions(database);
    await refuseSubmission(database, { id, actor: curator, reason: 'not about attention' });
    expect(await unreadCount(database, ada.id)).toBe(1);
    await expect(knownPaper(database, '2611.01234')).rejects.toThrow('refused: not about attention');
    await expect(refuseSubmission(database, { id, actor: curator, reason: 'again' })).rejects.toThrow(
      'already',
    );
    await approveSubmission(database, { id, actor: curator, zone: 'UTC' });
    expect(await knownPaper(database, '2611.01234')).toBe('2611-01234');
  });

  test.each([
    ['fourteen days old', '2026-11-11T12:00:00.000Z', 14, undefined],
    [
      'a second older',
      '2026-11-11T11:59:59.000Z',
      14,
      'published on 2026-11-11; readers may put papers forward within 14',
    ],
    ['as old, where a site allows a month', '2026-11-11T11:59:59.000Z', 31, undefined],
    ['years old, where there is no rule', '2020-01-01T00:00:00.000Z', 0, undefined],
  ])('a paper that is %s', async (_name, publishedAt, days, refused) => {
    const made = submit({ paper: paper({ publishedAt }), days });
    if (refused) await expect(made).rejects.toThrow(refused);
    else await expect(made).resolves.toBeUndefined();
    // The rule is for readers.
    if (refused) await submit({ paper: paper({ publishedAt }), days, viewer: curator });
    expect(await allSubmissions(database)).toHaveLength(1);
  });

  test('what is typed in is of the month of its id, and gives way to what arXiv says', async () => {
    const typed = paper({
      source: 'reader',
      version: null,
      title: 'Atention',
      publishedAt: '2026-10-01T00:00:00.000Z',
    });
    await expect(submit({ paper: typed, source: 'typed', days: 0 })).rejects.toThrow(
      'published is 2026-10-01; allowed: a day of 2026-11',
    );
    await submit({ paper: { ...typed, publishedAt: '2026-11-20T00:00:00.000Z' }, source: 'typed' });
    const [{ id, source }] = await allSubmissions(database);
    expect(source).toBe('typed');
    await approveSubmission(database, { id, actor: curator, zone: 'UTC' });
    await importPapers(
      { source: 'arxiv', text: atom('2611.01234', 'Attention on Tuesdays') },
      {
        database,
        zone: 'UTC',
        fetchText: () => Promise.reject(new Error('no network')),
      },
    );
    expect((await findPaper(database, { arxiv: '2611.01234' }))?.title).toBe('Attention on Tuesdays');
  });

  test('arXiv is asked by the client of the imports; what it does not know, or when it is away, is said', async () => {
    const seen: string[] = [];
    let status = 200;
    const server: Server = createServer((request, response) => {
      seen.push(request.url ?? '');
      response.writeHead(status);
      response.end(request.url?.includes('2611.01234') ? atom('2611.01234', 'Told') : atom());
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const lookUp = arxivLookUp(database, { hosts: { 'export.arxiv.org': base }, pauseMs: 10 });
    expect(await lookUp('2611.01234')).toMatchObject({ paper: { title: 'Told', version: 2 } });
    expect(await lookUp('2611.09999')).toEqual({ paper: undefined });
    expect(seen).toHaveLength(2);
    status = 503;
    expect(await lookUp('2611.01234')).toEqual({ away: expect.stringContaining('answered 503') });
    await new Promise((closed) => server.close(closed));
    await database.query('DELETE FROM import_turns');
    expect(await lookUp('2611.01234')).toEqual({ away: expect.stringContaining('cannot be reached') });
  });
});

const atom = (arxiv?: string, title?: string) =>
  `<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>arXiv</title>${
    arxiv
      ? `<entry><id>http://arxiv.org/abs/${arxiv}v2</id><title>${title}</title><summary>It attends.</summary><published>2026-11-20T12:00:00Z</published><updated>2026-11-21T12:00:00Z</updated><author><name>Ada Lovelace</name></author></entry>`
      : ''
  }</feed>`;
