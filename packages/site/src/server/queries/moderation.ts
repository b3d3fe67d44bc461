import type { Role, Viewer } from '../accounts/accounts.ts';
import type { Database, Queries } from '../database.ts';
import { Refused } from '../refused.ts';
import { slugOf } from './comments.ts';
import { lockPaper, recount, recountAllOf } from './counts.ts';
import { withPlainTitles } from './titles.ts';

/** Writes what a curator or admin did. Targets are ids: `comment …`, `user …`, `authorship …`. */
export async function audit(
  inner: Queries,
  actor: Viewer,
  action: string,
  target: string,
  reason?: string,
): Promise<void> {
  await inner.query('INSERT INTO audit (actor_id, action, target, reason) VALUES ($1, $2, $3, $4)', [
    actor.id,
    action,
    target,
    reason ?? null,
  ]);
}

export interface AuditView {
  id: number;
  at: Date;
  actor: string | null;
  action: string;
  target: string;
  /** Of an account that is the target, while it is there. */
  targetName: string | null;
  reason: string | null;
}

const AUDIT_PAGE = 100;

/**
 * A page of the audit log, the latest lines first. Actors without a name: the command, or an account that is gone.
 * @param page from 0
 */
export async function auditLog(database: Queries, page = 0): Promise<{ lines: AuditView[]; more: boolean }> {
  const lines = await database.query<AuditView>(
    `SELECT a.id, a.at, u.name AS actor, a.action, a.target, t.name AS "targetName", a.reason FROM audit a
     LEFT JOIN users u ON u.id = a.actor_id LEFT JOIN users t ON a.target = 'user ' || t.id
     ORDER BY a.id DESC LIMIT $1 OFFSET $2`,
    [AUDIT_PAGE + 1, page * AUDIT_PAGE],
  );
  return { lines: lines.slice(0, AUDIT_PAGE), more: lines.length > AUDIT_PAGE };
}

/** Reports a comment to the curators; a second report of one account changes its reason. */
export async function report(
  database: Queries,
  { commentId, viewer, reason }: { commentId: string; viewer: Viewer; reason: string },
): Promise<void> {
  const rows = await database.query(
    `INSERT INTO reports (comment_id, reporter_id, reason)
     SELECT id, $2, $3 FROM comments WHERE id = $1 AND deleted_at IS NULL
     ON CONFLICT (comment_id, reporter_id) DO UPDATE SET reason = excluded.reason, created_at = now(), closed_at = NULL
     RETURNING comment_id`,
    [commentId, viewer.id, reason],
  );
  if (rows.length === 0) throw new Refused(404, 'There is no such comment.');
}

export interface ReportedComment {
  id: string;
  slug: string;
  title: string;
  author: string | null;
  html: string;
  removedReason: string | null;
  reports: { by: string; reason: string }[];
}

/** Comments with open reports, the longest waiting first, then those that are removed, the latest first. */
export function reportedComments(database: Queries): Promise<ReportedComment[]> {
  return withPlainTitles(
    database.query<ReportedComment>(
      `SELECT c.id, c.slug, p.title, u.name AS author, c.html, c.removed_reason AS "removedReason",
       coalesce((SELECT json_agg(json_build_object('by', ru.name, 'reason', r.reason) ORDER BY r.created_at)
         FROM reports r JOIN users ru ON ru.id = r.reporter_id WHERE r.comment_id = c.id AND r.closed_at IS NULL), '[]') AS reports
     FROM comments c JOIN papers p USING (slug) LEFT JOIN users u ON u.id = c.author_id
     WHERE c.deleted_at IS NULL AND (c.removed_at IS NOT NULL
       OR EXISTS (SELECT 1 FROM reports r WHERE r.comment_id = c.id AND r.closed_at IS NULL))
     ORDER BY c.removed_at IS NOT NULL, CASE WHEN c.removed_at IS NULL THEN c.created_at END, c.removed_at DESC LIMIT 100`,
    ),
  );
}

/**
 * Removes a comment with a reason that its author and all readers see, or puts it back; both close its reports.
 * @param reason why it is removed; undefined puts it back, or leaves it and closes the reports
 */
export async function decideComment(
  database: Database,
  { id, actor, reason }: { id: string; actor: Viewer; reason?: string },
): Promise<void> {
  await database.transaction(async (inner) => {
    const slug = await slugOf(inner, id);
    if (!slug || !(await lockPaper(inner, slug))) throw new Refused(404, 'There is no such comment.');
    await inner.query(
      `UPDATE comments SET removed_at = CASE WHEN $2::text IS NULL THEN NULL ELSE now() END, removed_reason = $2 WHERE id = $1`,
      [id, reason ?? null],
    );
    await inner.query('UPDATE reports SET closed_at = now() WHERE comment_id = $1 AND closed_at IS NULL', [
      id,
    ]);
    await audit(inner, actor, reason ? 'remove comment' : 'keep comment', `comment ${id}`, reason);
    await recount(inner, slug);
  });
}

export interface AccountView {
  id: string;
  name: string;
  role: Role;
  isBot: boolean;
  suspended: boolean;
  since: Date;
  votes: number;
  comments: number;
}

export const MOST_ACCOUNTS = 100;

/** Accounts whose name holds `words`, the newest first, at most MOST_ACCOUNTS. No address: nobody needs it to moderate. */
export function accounts(database: Queries, words: string): Promise<AccountView[]> {
  return database.query(
    `SELECT u.id, u.name, u.role, u.is_bot AS "isBot", u.suspended_at IS NOT NULL AS suspended, u.created_at AS since,
       (SELECT count(*) FROM votes v WHERE v.user_id = u.id) AS votes,
       (SELECT count(*) FROM comments c WHERE c.author_id = u.id AND c.deleted_at IS NULL) AS comments
     FROM users u WHERE u.name ILIKE $1 ORDER BY u.created_at DESC, u.id LIMIT $2`,
    [`%${words.replace(/[\\%_]/g, '\\$&')}%`, MOST_ACCOUNTS],
  );
}

/** Labels an account as a bot, or takes the label away; all counts that it touches are made again. */
export async function labelBot(
  database: Database,
  { userId, actor, isBot }: { userId: string; actor: Viewer; isBot: boolean },
): Promise<void> {
  await database.transaction(async (inner) => {
    await change(inner, 'UPDATE users SET is_bot = $2 WHERE id = $1 RETURNING id', userId, isBot);
    await audit(inner, actor, isBot ? 'label bot' : 'unlabel bot', `user ${userId}`);
    await recountAllOf(inner, userId);
  });
}

/** Keeps an account from logging in, and ends its sessions; or lets it in again. */
export async function suspend(
  database: Database,
  { userId, actor, suspended, reason }: { userId: string; actor: Viewer; suspended: boolean; reason: string },
): Promise<void> {
  if (userId === actor.id) throw new Refused(403, 'Nobody suspends their own account.');
  await database.transaction(async (inner) => {
    await change(
      inner,
      'UPDATE users SET suspended_at = CASE WHEN $2::boolean THEN now() END WHERE id = $1 RETURNING id',
      userId,
      suspended,
    );
    if (suspended) await inner.query('DELETE FROM sessions WHERE user_id = $1', [userId]);
    await audit(inner, actor, suspended ? 'suspend' : 'let in again', `user ${userId}`, reason);
  });
}

/** Gives an account a role. An admin cannot take the role from the last admin: then nobody could give it back. */
export async function setRole(
  database: Database,
  { userId, actor, role }: { userId: string; actor: Viewer; role: Role },
): Promise<void> {
  await database.transaction(async (inner) => {
    const admins = await inner.query<{ id: string }>("SELECT id FROM users WHERE role = 'admin' FOR UPDATE");
    if (role !== 'admin' && admins.length === 1 && admins[0].id === userId)
      throw new Refused(409, 'This is the only admin; make another one first.');
    await change(inner, 'UPDATE users SET role = $2 WHERE id = $1 RETURNING id', userId, role);
    await audit(inner, actor, 'grant role', `user ${userId}`, role);
  });
}

async function change(inner: Queries, sql: string, userId: string, value: unknown): Promise<void> {
  if ((await inner.query(sql, [userId, value])).length === 0)
    throw new Refused(404, 'There is no such account.');
}
