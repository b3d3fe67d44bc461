import type { Viewer } from '../accounts/accounts.ts';
import type { Database, Queries } from '../database.ts';
import { type Parsed, parseMarkdown } from '../markdown.ts';
import { Refused } from '../refused.ts';
import { lockPaper, recount } from './counts.ts';

/** A comment as a page shows it. */
export interface CommentView {
  id: string;
  /** null: the account is gone, or the comment is deleted. */
  author: { name: string; isAuthor: boolean; isBot: boolean } | null;
  /** Empty unless shown. */
  html: string;
  state: 'shown' | 'deleted' | 'removed';
  /** Why a curator removed it. */
  reason: string | null;
  createdAt: string;
  editedAt: string | null;
  /** Written by who asks. */
  own: boolean;
  /** The Markdown, for its own author to edit. */
  raw: string | null;
  replies: CommentView[];
}

interface Row {
  id: string;
  parentId: string | null;
  authorId: string | null;
  name: string | null;
  isBot: boolean | null;
  isAuthor: boolean;
  raw: string;
  html: string;
  createdAt: Date;
  editedAt: Date | null;
  deleted: boolean;
  removed: boolean;
  reason: string | null;
}

/** All comments of a paper, the oldest first, answers below what they answer. Deleted ones stay while they have answers. */
export async function listComments(database: Queries, slug: string, viewer?: Viewer): Promise<CommentView[]> {
  const rows = await database.query<Row>(
    `SELECT c.id, c.parent_id AS "parentId", c.author_id AS "authorId", u.name, u.is_bot AS "isBot",
       EXISTS (SELECT 1 FROM authorships a WHERE a.slug = c.slug AND a.user_id = c.author_id AND a.status = 'confirmed') AS "isAuthor",
       c.raw, c.html, c.created_at AS "createdAt", c.edited_at AS "editedAt", c.deleted_at IS NOT NULL AS deleted,
       c.removed_at IS NOT NULL AS removed, c.removed_reason AS reason
     FROM comments c LEFT JOIN users u ON u.id = c.author_id WHERE c.slug = $1 ORDER BY c.created_at, c.id`,
    [slug],
  );
  const views = new Map(rows.map((row) => [row.id, viewOf(row, viewer)]));
  const roots: CommentView[] = [];
  for (const { id, parentId } of rows) {
    const siblings = parentId ? views.get(parentId)!.replies : roots;
    siblings.push(views.get(id)!);
  }
  const kept = ({ state, replies }: CommentView) => state !== 'deleted' || replies.length > 0;
  for (const root of roots) root.replies = root.replies.filter(kept);
  return roots.filter(kept);
}

function viewOf(row: Row, viewer: Viewer | undefined): CommentView {
  const state = row.deleted ? 'deleted' : row.removed ? 'removed' : 'shown';
  const own = viewer !== undefined && viewer.id === row.authorId;
  return {
    id: row.id,
    author:
      row.name !== null && state !== 'deleted'
        ? { name: row.name, isAuthor: row.isAuthor, isBot: row.isBot === true }
        : null,
    html: state === 'shown' ? row.html : '',
    state,
    reason: state === 'removed' ? row.reason : null,
    createdAt: row.createdAt.toISOString(),
    editedAt: row.editedAt?.toISOString() ?? null,
    own,
    raw: own && state === 'shown' ? row.raw : null,
    replies: [],
  };
}

/** Readers whose account is younger than this, in days, may put one link into a comment. */
const NEW_DAYS = 3;

/**
 * Stores a comment and notifies who is mentioned or answered, each once.
 * @param parentId the comment that it answers; an answer to an answer goes to the first comment
 * @throws Refused where the paper or the parent is not there, or a new account puts more than one link
 */
export async function addComment(
  database: Database,
  { slug, author, raw, parentId }: { slug: string; author: Viewer; raw: string; parentId?: string },
): Promise<string> {
  const parsed = parse(raw, author);
  return database.transaction(async (inner) => {
    if (!(await lockPaper(inner, slug))) throw new Refused(404, `There is no paper ${slug}.`);
    const [parent] = parentId
      ? await inner.query<{ id: string; authorId: string | null }>(
          `SELECT coalesce(p.parent_id, p.id) AS id, p.author_id AS "authorId" FROM comments p
           WHERE p.id = $1 AND p.slug = $2 AND p.deleted_at IS NULL AND p.removed_at IS NULL`,
          [parentId, slug],
        )
      : [];
    if (parentId && !parent) throw new Refused(404, 'The comment that this answers is no longer there.');
    const mentioned = await accountsNamed(inner, parsed.mentions);
    const [{ id }] = await inner.query<{ id: string }>(
      'INSERT INTO comments (slug, author_id, parent_id, raw, html) VALUES ($1, $2, $3, $4, $5) RETURNING id',
      [slug, author.id, parent?.id ?? null, raw, parsed.html(new Set(mentioned.keys()))],
    );
    await notify(inner, id, author.id, mentioned, parent?.authorId ?? undefined);
    await recount(inner, slug);
    return id;
  });
}

/** Replaces the text of a comment by its author; the old one stays in its history. Newly mentioned accounts are notified. */
export async function editComment(
  database: Database,
  { id, author, raw }: { id: string; author: Viewer; raw: string },
): Promise<void> {
  const parsed = parse(raw, author);
  await database.transaction(async (inner) => {
    const [now] = await inner.query<{ raw: string }>(
      `SELECT raw FROM comments WHERE id = $1 AND author_id = $2 AND deleted_at IS NULL AND removed_at IS NULL FOR UPDATE`,
      [id, author.id],
    );
    if (!now) throw new Refused(404, 'There is no such comment of yours.');
    if (now.raw === raw) return;
    await inner.query(
      `INSERT INTO comment_versions (comment_id, version, raw, html, written_at)
       SELECT id, (SELECT count(*) + 1 FROM comment_versions WHERE comment_id = $1), raw, html, coalesce(edited_at, created_at)
       FROM comments WHERE id = $1`,
      [id],
    );
    const mentioned = await accountsNamed(inner, parsed.mentions);
    await inner.query('UPDATE comments SET raw = $2, html = $3, edited_at = now() WHERE id = $1', [
      id,
      raw,
      parsed.html(new Set(mentioned.keys())),
    ]);
    await notify(inner, id, author.id, mentioned);
  });
}

/** Takes a comment's text and history away for good; its answers stay. By its author only. */
export async function deleteComment(database: Database, id: string, author: Viewer): Promise<void> {
  await database.transaction(async (inner) => {
    const slug = await slugOf(inner, id);
    if (!slug || !(await lockPaper(inner, slug))) throw new Refused(404, 'There is no such comment.');
    const gone = await inner.query(
      `UPDATE comments SET raw = '', html = '', deleted_at = coalesce(deleted_at, now())
       WHERE id = $1 AND author_id = $2 RETURNING id`,
      [id, author.id],
    );
    if (gone.length === 0) throw new Refused(403, 'Only its author can delete a comment.');
    await inner.query('DELETE FROM comment_versions WHERE comment_id = $1', [id]);
    await inner.query('DELETE FROM notifications WHERE comment_id = $1', [id]);
    await recount(inner, slug);
  });
}

/** The texts of a shown comment, the newest first; undefined where there is none. */
export async function historyOf(
  database: Queries,
  id: string,
): Promise<{ slug: string; versions: { html: string; writtenAt: Date }[] } | undefined> {
  const rows = await database.query<{ slug: string; html: string; writtenAt: Date }>(
    `SELECT slug, html, coalesce(edited_at, created_at) AS "writtenAt", NULL::int AS version FROM comments
       WHERE id = $1 AND deleted_at IS NULL AND removed_at IS NULL
     UNION ALL
     SELECT c.slug, v.html, v.written_at, v.version FROM comment_versions v JOIN comments c ON c.id = v.comment_id
       WHERE c.id = $1 AND c.deleted_at IS NULL AND c.removed_at IS NULL
     ORDER BY version DESC NULLS FIRST`,
    [id],
  );
  if (rows.length === 0) return undefined;
  return { slug: rows[0].slug, versions: rows.map(({ html, writtenAt }) => ({ html, writtenAt })) };
}

/** The paper that a comment stands under. */
export async function slugOf(database: Queries, id: string): Promise<string | undefined> {
  const [row] = await database.query<{ slug: string }>('SELECT slug FROM comments WHERE id = $1', [id]);
  return row?.slug;
}

function parse(raw: string, author: Viewer): Parsed {
  let parsed: Parsed;
  try {
    parsed = parseMarkdown(raw);
    // Rendering goes as deep as parsing, and may find it too deep.
    parsed.html(new Set());
  } catch (error) {
    if (error instanceof RangeError) throw new Refused(400, 'The comment is nested too deeply to be read.');
    throw error;
  }
  const ageDays = (Date.now() - author.createdAt.getTime()) / 86_400_000;
  if (author.role === 'reader' && ageDays < NEW_DAYS && parsed.links > 1)
    throw new Refused(
      400,
      `The comment has ${parsed.links} links; allowed: one, while an account is younger than ${NEW_DAYS} days.`,
    );
  return parsed;
}

async function accountsNamed(inner: Queries, names: readonly string[]): Promise<Map<string, string>> {
  if (names.length === 0) return new Map();
  const rows = await inner.query<{ name: string; id: string }>(
    'SELECT lower(name) AS name, id FROM users WHERE lower(name) = ANY($1::text[])',
    [names],
  );
  return new Map(rows.map(({ name, id }) => [name, id]));
}

/** Each account hears of a comment once: as mentioned, or else as answered; never of its own. */
async function notify(
  inner: Queries,
  commentId: string,
  authorId: string,
  mentioned: ReadonlyMap<string, string>,
  answered?: string,
): Promise<void> {
  const told = new Map([...mentioned.values()].map((id) => [id, 'mention']));
  if (answered && !told.has(answered)) told.set(answered, 'reply');
  told.delete(authorId);
  for (const [userId, kind] of told)
    await inner.query(
      'INSERT INTO notifications (user_id, comment_id, kind) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      [userId, commentId, kind],
    );
}
