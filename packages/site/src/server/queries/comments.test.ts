import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Viewer } from '../accounts/accounts.ts';
import type { Database } from '../database.ts';
import { seed } from '../seed.ts';
import { onEachEngine } from '../testing/databases.ts';
import { person } from '../testing/people.ts';
import { allClaims, authorsHere, claimPaper, decideClaim } from './authorships.ts';
import { addComment, deleteComment, editComment, historyOf, listComments } from './comments.ts';
import {
  accounts,
  auditLog,
  decideComment,
  labelBot,
  report,
  reportedComments,
  setRole,
  suspend,
} from './moderation.ts';
import {
  deleteAccount,
  exportOf,
  markRead,
  notificationsOf,
  profileOf,
  rename,
  unreadCount,
} from './users.ts';
import { setVote } from './votes.ts';

onEachEngine('discussion', (open) => {
  let database: Database;
  let ada: Viewer;
  let bob: Viewer;
  let curator: Viewer;
  beforeAll(async () => {
    database = await open();
    await seed(database);
    // A listing weighs as a vote does; here only votes and comments shall.
    await database.query('UPDATE papers SET listed_on = NULL');
  });
  beforeEach(async () => {
    await database.query('DELETE FROM comments');
    await database.query('DELETE FROM users');
    await database.query('UPDATE papers SET upvotes = 0, comments = 0, hot = NULL');
    ada = await person(database, 'ada');
    bob = await person(database, 'bob');
    curator = await person(database, 'cora', { role: 'curator' });
  });
  afterAll(() => database.close());

  const say = (author: Viewer, raw: string, parentId?: string) =>
    addComment(database, { slug: 'fna', author, raw, parentId });
  const shown = (viewer?: Viewer) => listComments(database, 'fna', viewer);
  const counted = async (slug = 'fna') =>
    (
      await database.query<{ comments: number; upvotes: number; hot: number | null }>(
        'SELECT comments, upvotes, hot FROM papers WHERE slug = $1',
        [slug],
      )
    )[0];

  test('answers stand below what they answer, an answer to an answer below the first', async () => {
    const first = await say(ada, 'first');
    const answer = await say(bob, 'answer', first);
    await say(ada, 'and back', answer);
    await say(bob, 'second');
    const [one, two] = await shown();
    expect(one.replies.map(({ html }) => html)).toEqual(['<p>answer</p>', '<p>and back</p>']);
    expect(two).toMatchObject({ html: '<p>second</p>', replies: [], author: { name: 'bob' } });
    expect(await counted()).toMatchObject({ comments: 4 });
  });

  test('what cannot be answered is refused: nothing there, another paper, deleted', async () => {
    const first = await say(ada, 'first');
    const absent = '00000000-0000-0000-0000-000000000000';
    await expect(say(bob, 'x', absent)).rejects.toThrow('no longer there');
    await expect(
      addComment(database, { slug: 'gna', author: bob, raw: 'x', parentId: first }),
    ).rejects.toThrow();
    await expect(addComment(database, { slug: 'unheard-of', author: bob, raw: 'x' })).rejects.toMatchObject({
      status: 404,
    });
    await deleteComment(database, first, ada);
    await expect(say(bob, 'x', first)).rejects.toThrow('no longer there');
    expect(await shown()).toEqual([]);
  });

  test('a mention notifies once, whatever is edited in later; nobody hears of their own', async () => {
    const id = await say(ada, 'hello @Bob, @bob and @ada and @nobody');
    expect((await shown())[0].html).toContain('<a href="/users/bob">@Bob</a>');
    expect(await notificationsOf(database, bob.id)).toMatchObject([
      { kind: 'mention', name: 'ada', isNew: true },
    ]);
    expect(await notificationsOf(database, ada.id)).toEqual([]);
    await markRead(database, bob.id);
    await editComment(database, { id, author: ada, raw: 'hello again @bob, and @cora' });
    expect(await unreadCount(database, bob.id)).toBe(0);
    expect(await unreadCount(database, curator.id)).toBe(1);
    await say(bob, 'yes, @ada', id);
    expect(await notificationsOf(database, ada.id)).toMatchObject([{ kind: 'mention' }]);
    await say(bob, 'and no', id);
    expect(await notificationsOf(database, ada.id)).toMatchObject([{ kind: 'reply' }, { kind: 'mention' }]);
  });

  test('an edit keeps what was there before, and is its author’s alone', async () => {
    const id = await say(ada, 'one');
    await editComment(database, { id, author: ada, raw: 'two' });
    await editComment(database, { id, author: ada, raw: 'three' });
    await editComment(database, { id, author: ada, raw: 'three' });
    const history = await historyOf(database, id);
    expect(history?.versions.map(({ html }) => html)).toEqual(['<p>three</p>', '<p>two</p>', '<p>one</p>']);
    await expect(editComment(database, { id, author: bob, raw: 'mine' })).rejects.toMatchObject({
      status: 404,
    });
    expect((await shown(ada))[0]).toMatchObject({ own: true, raw: 'three' });
    expect((await shown(bob))[0]).toMatchObject({ own: false, raw: null });
  });

  test('deleting takes text and history, and keeps the answers', async () => {
    const id = await say(ada, 'secret one');
    await editComment(database, { id, author: ada, raw: 'secret two' });
    await say(bob, 'answer', id);
    await expect(deleteComment(database, id, bob)).rejects.toMatchObject({ status: 403 });
    await deleteComment(database, id, ada);
    await deleteComment(database, id, ada);
    const [gone] = await shown(ada);
    expect(gone).toMatchObject({ state: 'deleted', html: '', author: null, raw: null });
    expect(gone.replies).toHaveLength(1);
    expect(await historyOf(database, id)).toBeUndefined();
    expect(JSON.stringify(await database.query('SELECT * FROM comments, comment_versions'))).not.toContain(
      'secret',
    );
    expect(await counted()).toMatchObject({ comments: 1 });
  });

  test('a new account may put one link', async () => {
    const fresh = await person(database, 'fresh', { createdAt: new Date().toISOString() });
    await say(fresh, 'see https://example.org');
    const two = 'https://a.example.org and https://b.example.org';
    await expect(say(fresh, two)).rejects.toThrow('The comment has 2 links; allowed: one');
    await say(ada, two);
  });

  test('a report waits for a curator, who removes with a reason and can put back', async () => {
    const id = await say(ada, 'buy now');
    await report(database, { commentId: id, viewer: bob, reason: 'advertising' });
    await report(database, { commentId: id, viewer: bob, reason: 'advertising, again' });
    expect(await reportedComments(database)).toMatchObject([
      { id, reports: [{ by: 'bob', reason: 'advertising, again' }] },
    ]);
    await decideComment(database, { id, actor: curator, reason: 'Advertising.' });
    expect((await shown(bob))[0]).toMatchObject({ state: 'removed', html: '', reason: 'Advertising.' });
    expect(await counted()).toMatchObject({ comments: 0, hot: null });
    expect(await reportedComments(database)).toMatchObject([
      { id, removedReason: 'Advertising.', reports: [] },
    ]);
    await decideComment(database, { id, actor: curator });
    expect((await shown(bob))[0]).toMatchObject({ state: 'shown', html: '<p>buy now</p>', reason: null });
    expect(await counted()).toMatchObject({ comments: 1 });
    expect(await reportedComments(database)).toEqual([]);
    expect(
      (await auditLog(database)).lines
        .map(({ actor, action, target }) => `${actor} ${action} ${target}`)
        .slice(0, 2),
    ).toEqual([`cora keep comment comment ${id}`, `cora remove comment comment ${id}`]);
  });

  test('a bot’s votes and comments do not count while it is labelled', async () => {
    await setVote(database, { slug: 'fna', userId: ada.id, wanted: true });
    await setVote(database, { slug: 'gna', userId: bob.id, wanted: true });
    await setVote(database, { slug: 'fna', userId: bob.id, wanted: true });
    await say(bob, 'beep');
    const before = [await counted(), await counted('gna')];
    await labelBot(database, { userId: bob.id, actor: curator, isBot: true });
    expect(await counted()).toMatchObject({ upvotes: 1, comments: 0 });
    expect(await counted('gna')).toEqual({ upvotes: 0, comments: 0, hot: null });
    expect((await shown())[0].author).toMatchObject({ isBot: true });
    await labelBot(database, { userId: bob.id, actor: curator, isBot: false });
    expect([await counted(), await counted('gna')]).toEqual(before);
  });

  test('who is suspended is listed as such, and the last admin stays', async () => {
    const admin = await person(database, 'root', { role: 'admin' });
    await suspend(database, { userId: bob.id, actor: admin, suspended: true, reason: 'spam' });
    expect(await accounts(database, 'BO')).toMatchObject([{ name: 'bob', suspended: true }]);
    expect(await accounts(database, '_')).toEqual([]);
    await expect(
      suspend(database, { userId: admin.id, actor: admin, suspended: true, reason: '' }),
    ).rejects.toThrow('own account');
    await expect(setRole(database, { userId: admin.id, actor: admin, role: 'reader' })).rejects.toThrow(
      'only admin',
    );
    await setRole(database, { userId: ada.id, actor: admin, role: 'admin' });
    await setRole(database, { userId: admin.id, actor: admin, role: 'reader' });
    await expect(setRole(database, { userId: 'nobody', actor: ada, role: 'curator' })).rejects.toThrow(
      'no such account',
    );
  });

  test('a claim of authorship is pending, denied, made again and confirmed', async () => {
    const claim = () =>
      claimPaper(database, { slug: 'fna', viewer: ada, authorName: 'A. Author', evidence: 'my page' });
    await say(ada, 'I wrote this');
    await claim();
    await expect(claim()).rejects.toMatchObject({ status: 409 });
    const [pending] = await allClaims(database);
    await decideClaim(database, { id: pending.id, actor: curator, confirmed: false, reason: 'Which page?' });
    expect((await shown())[0].author).toMatchObject({ isAuthor: false });
    await claim();
    const [again] = await allClaims(database);
    expect(again).toMatchObject({ status: 'pending', name: 'ada' });
    await expect(
      decideClaim(database, { id: pending.id, actor: curator, confirmed: true, reason: '' }),
    ).rejects.toThrow('later claim');
    await decideClaim(database, { id: again.id, actor: curator, confirmed: true, reason: 'Seen.' });
    expect((await shown())[0].author).toMatchObject({ isAuthor: true });
    expect(await authorsHere(database, 'fna')).toEqual(['ada']);
    expect(await profileOf(database, 'ADA')).toMatchObject({ role: 'author', papers: [{ slug: 'fna' }] });
    await decideClaim(database, { id: again.id, actor: curator, confirmed: false, reason: 'A mistake.' });
    expect(await profileOf(database, 'ada')).toMatchObject({ role: 'reader', papers: [] });
    expect((await auditLog(database)).lines.map(({ action }) => action).slice(0, 3)).toEqual([
      'deny authorship',
      'confirm authorship',
      'deny authorship',
    ]);
    await labelBot(database, { userId: ada.id, actor: curator, isBot: true });
    await labelBot(database, { userId: ada.id, actor: curator, isBot: false });
    expect((await auditLog(database)).lines[0]).toMatchObject({ action: 'unlabel bot', targetName: 'ada' });
    expect(await auditLog(database, 1)).toEqual({ lines: [], more: false });
  });

  test('names are taken once, whatever their case', async () => {
    await expect(rename(database, ada, 'BOB')).rejects.toMatchObject({ status: 409 });
    await rename(database, ada, 'Ada');
    const both = await Promise.allSettled([rename(database, ada, 'zoe'), rename(database, bob, 'Zoe')]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test('a name that stands for the site is refused, however it is written', async () => {
    for (const name of [
      'saccade',
      'Saccade',
      'SACC-ADE',
      'saccade-team',
      'admin',
      'Moderator',
      'sup-port',
      'arxiv',
    ])
      await expect(rename(database, ada, name), name).rejects.toMatchObject({
        status: 409,
        message: `The name ${name} stands for the site itself; choose one of your own.`,
      });
    for (const name of ['sac', 'administrata', 'Ada']) await rename(database, ada, name);
  });

  test('a deleted account leaves its address in no table, and the answers to it', async () => {
    const id = await say(ada, 'mine');
    await say(bob, 'answer', id);
    await setVote(database, { slug: 'fna', userId: ada.id, wanted: true });
    await report(database, { commentId: id, viewer: ada, reason: 'test' });
    await claimPaper(database, { slug: 'fna', viewer: ada, authorName: 'A', evidence: 'x' });
    await database.query(
      `INSERT INTO logins (id, identifier, value, expires_at, created_at, updated_at) VALUES ('l', 'x', $1, now(), now(), now())`,
      [JSON.stringify({ type: 'magic-link', email: 'ada@example.org' })],
    );
    expect(await exportOf(database, ada.id)).toMatchObject({
      account: { email: 'ada@example.org' },
      votes: [{ slug: 'fna' }],
      comments: [{ raw: 'mine' }],
      authorships: [{ status: 'pending' }],
    });
    expect(await deleteAccount(database, ada.id)).toBe('ada@example.org');
    expect(await deleteAccount(database, ada.id)).toBeUndefined();
    const tables = await database.query<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
    );
    for (const { name } of tables)
      expect(JSON.stringify(await database.query(`SELECT * FROM ${name}`)), name).not.toContain(
        'ada@example.org',
      );
    const [gone] = await shown();
    expect(gone).toMatchObject({ state: 'deleted', author: null, html: '' });
    expect(gone.replies).toHaveLength(1);
    expect(await counted()).toMatchObject({ upvotes: 0, comments: 1 });
  });
});
