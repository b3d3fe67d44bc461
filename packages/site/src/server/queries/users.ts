import { randomBytes } from 'node:crypto';
import type { Role, Viewer } from '../accounts/accounts.ts';
import { provisionalName } from '../accounts/provisional-name.ts';
import { isReserved } from '../accounts/reserved-names.ts';
import type { Database, Queries } from '../database.ts';
import { Refused } from '../refused.ts';
import { lockPaper, recount, touchedBy } from './counts.ts';
import { withPlainTitles } from './titles.ts';

/** What everybody may see of an account. */
export interface Profile {
  name: string;
  role: Role;
  isBot: boolean;
  since: Date;
  papers: { slug: string; title: string }[];
  comments: { id: string; slug: string; title: string; html: string; createdAt: Date }[];
}

/** An account by its name, with the papers it is confirmed to have written and its latest comments. */
export async function profileOf(database: Queries, name: string): Promise<Profile | undefined> {
  const [user] = await database.query<{ id: string; name: string; role: Role; isBot: boolean; since: Date }>(
    'SELECT id, name, role, is_bot AS "isBot", created_at AS since FROM users WHERE lower(name) = lower($1)',
    [name],
  );
  if (!user) return undefined;
  const { id, ...shown } = user;
  return {
    ...shown,
    papers: await withPlainTitles(
      database.query<Profile['papers'][number]>(
        `SELECT p.slug, p.title FROM authorships a JOIN papers p USING (slug)
       WHERE a.user_id = $1 AND a.status = 'confirmed' ORDER BY p.title`,
        [id],
      ),
    ),
    comments: await withPlainTitles(
      database.query<Profile['comments'][number]>(
        `SELECT c.id, c.slug, p.title, c.html, c.created_at AS "createdAt" FROM comments c JOIN papers p USING (slug)
       WHERE c.author_id = $1 AND c.deleted_at IS NULL AND c.removed_at IS NULL ORDER BY c.created_at DESC LIMIT 50`,
        [id],
      ),
    ),
  };
}

/**
 * Gives an account the name that others see.
 * @throws Refused where another account has it, or where it stands for the site itself
 */
export async function rename(database: Queries, viewer: Viewer, name: string): Promise<void> {
  if (isReserved(name))
    throw new Refused(409, `The name ${name} stands for the site itself; choose one of your own.`);
  const taken = await database.query('SELECT 1 FROM users WHERE lower(name) = lower($1) AND id <> $2', [
    name,
    viewer.id,
  ]);
  if (taken.length > 0) throw new Refused(409, `The name ${name} is taken.`);
  try {
    await database.query('UPDATE users SET name = $2, updated_at = now() WHERE id = $1', [viewer.id, name]);
  } catch (error) {
    // Two may choose one name in the same moment; the index lets one of them have it.
    if ((error as { code?: string }).code === '23505') throw new Refused(409, `The name ${name} is taken.`);
    throw error;
  }
}

/** Makes an account have a role, and the account itself where there is none for the address yet. */
export async function grantRole(database: Database, email: string, role: Role): Promise<void> {
  await database.transaction(async (inner) => {
    const [{ id }] = await inner.query<{ id: string }>(
      `INSERT INTO users (id, name, email, email_verified, role) VALUES ($1, $2, $3, true, $4)
       ON CONFLICT (email) DO UPDATE SET role = excluded.role, updated_at = now() RETURNING id`,
      [randomBytes(12).toString('hex'), provisionalName(), email.toLowerCase(), role],
    );
    await inner.query("INSERT INTO audit (action, target, reason) VALUES ('grant role', $1, $2)", [
      `user ${id}`,
      `${role}, by the command`,
    ]);
  });
}

/** Everything that is stored of an account, for its owner. */
export async function exportOf(database: Queries, id: string): Promise<Record<string, unknown>> {
  const rows = (sql: string) => database.query<Record<string, unknown>>(sql, [id]);
  const [account] = await rows(
    'SELECT name, email, role, is_bot AS "isBot", created_at AS "createdAt" FROM users WHERE id = $1',
  );
  return {
    account,
    sessions: await rows(
      'SELECT created_at AS "createdAt", expires_at AS "expiresAt", user_agent AS "userAgent" FROM sessions WHERE user_id = $1',
    ),
    votes: await rows(
      'SELECT slug, created_at AS "createdAt" FROM votes WHERE user_id = $1 ORDER BY created_at',
    ),
    comments: await rows(
      `SELECT id, slug, parent_id AS "parentId", raw, created_at AS "createdAt", edited_at AS "editedAt",
         removed_reason AS "removedReason" FROM comments WHERE author_id = $1 AND deleted_at IS NULL ORDER BY created_at`,
    ),
    earlierTexts: await rows(
      `SELECT v.comment_id AS "commentId", v.version, v.raw, v.written_at AS "writtenAt" FROM comment_versions v
       JOIN comments c ON c.id = v.comment_id WHERE c.author_id = $1 ORDER BY v.written_at`,
    ),
    notifications: await rows(
      'SELECT comment_id AS "commentId", kind, created_at AS "createdAt", read_at AS "readAt" FROM notifications WHERE user_id = $1 ORDER BY created_at',
    ),
    reports: await rows(
      'SELECT comment_id AS "commentId", reason, created_at AS "createdAt" FROM reports WHERE reporter_id = $1 ORDER BY created_at',
    ),
    library: await rows(
      'SELECT slug, bookmarked, state, note, tags, changed_at AS "changedAt" FROM library WHERE user_id = $1 ORDER BY slug',
    ),
    savedSearches: await rows(
      'SELECT name, query, created_at AS "createdAt" FROM saved_searches WHERE user_id = $1 ORDER BY created_at',
    ),
    papersByMail: await rows(
      `SELECT state, cadence, hour, zone, consent, source, created_at AS "createdAt", confirmed_at AS "confirmedAt"
       FROM subscribers WHERE email = (SELECT email FROM users WHERE id = $1)`,
    ),
    submissions: await rows(
      'SELECT arxiv, source, paper, note, status, reason, created_at AS "createdAt" FROM submissions WHERE user_id = $1 ORDER BY created_at',
    ),
    authorships: await rows(
      'SELECT slug, author_name AS "authorName", evidence, status, reason, created_at AS "createdAt" FROM authorships WHERE user_id = $1 ORDER BY created_at',
    ),
  };
}

/**
 * Deletes an account with its votes, sessions and open logins; its comments lose text and author, and keep their answers.
 * @returns the address, so that the caller can have the mailer forget it too
 */
export function deleteAccount(database: Database, id: string): Promise<string | undefined> {
  return database.transaction(async (inner) => {
    const touched = await touchedBy(inner, id);
    for (const { slug } of touched) await lockPaper(inner, slug);
    const [user] = await inner.query<{ email: string }>('SELECT email FROM users WHERE id = $1 FOR UPDATE', [
      id,
    ]);
    if (!user) return undefined;
    await inner.query(
      `DELETE FROM comment_versions WHERE comment_id IN (SELECT id FROM comments WHERE author_id = $1)`,
      [id],
    );
    await inner.query(
      `UPDATE comments SET raw = '', html = '', deleted_at = coalesce(deleted_at, now()) WHERE author_id = $1`,
      [id],
    );
    await inner.query(`DELETE FROM logins WHERE value::jsonb ->> 'email' = $1`, [user.email]);
    await inner.query('DELETE FROM subscribers WHERE email = $1', [user.email]);
    await inner.query('DELETE FROM users WHERE id = $1', [id]);
    for (const { slug } of touched) await recount(inner, slug);
    return user.email;
  });
}

export interface Notification {
  commentId: string;
  kind: 'mention' | 'reply';
  name: string | null;
  slug: string;
  title: string;
  html: string;
  createdAt: Date;
  isNew: boolean;
}

/** What an account has been told, the newest first; reading the page marks it read. */
export function notificationsOf(database: Queries, id: string): Promise<Notification[]> {
  return withPlainTitles(
    database.query<Notification>(
      `SELECT n.comment_id AS "commentId", n.kind, u.name, c.slug, p.title, c.html, n.created_at AS "createdAt",
       n.read_at IS NULL AS "isNew"
     FROM notifications n JOIN comments c ON c.id = n.comment_id JOIN papers p ON p.slug = c.slug
     LEFT JOIN users u ON u.id = c.author_id
     WHERE n.user_id = $1 AND c.removed_at IS NULL ORDER BY n.created_at DESC LIMIT 100`,
      [id],
    ),
  );
}

export async function markRead(database: Queries, id: string): Promise<void> {
  await database.query('UPDATE notifications SET read_at = now() WHERE user_id = $1 AND read_at IS NULL', [
    id,
  ]);
  await database.query(
    'UPDATE submissions SET read_at = now() WHERE user_id = $1 AND decided_at IS NOT NULL AND read_at IS NULL',
    [id],
  );
}

export async function unreadCount(database: Queries, id: string): Promise<number> {
  const [{ count }] = await database.query<{ count: number }>(
    `SELECT (SELECT count(*) FROM notifications n JOIN comments c ON c.id = n.comment_id
         WHERE n.user_id = $1 AND n.read_at IS NULL AND c.removed_at IS NULL)
       + (SELECT count(*) FROM submissions
         WHERE user_id = $1 AND decided_at IS NOT NULL AND read_at IS NULL) AS count`,
    [id],
  );
  return count;
}
