import type { Viewer } from '../accounts/accounts.ts';
import type { Database, Queries } from '../database.ts';
import { Refused } from '../refused.ts';
import { audit } from './moderation.ts';
import { withPlainTitles } from './titles.ts';

/** A claim to have written a paper, as its claimant and the curators see it. */
export interface AuthorshipView {
  id: string;
  slug: string;
  title: string;
  name: string;
  authorName: string;
  evidence: string;
  status: 'pending' | 'confirmed' | 'denied';
  reason: string | null;
  createdAt: Date;
}

const columns = `a.id, a.slug, p.title, u.name, a.author_name AS "authorName", a.evidence, a.status, a.reason,
  a.created_at AS "createdAt"`;
const tables = 'authorships a JOIN papers p USING (slug) JOIN users u ON u.id = a.user_id';

/**
 * Claims a paper. Who was denied may claim again.
 * @throws Refused where there is no such paper, or a claim is open or confirmed already
 */
export async function claimPaper(
  database: Database,
  {
    slug,
    viewer,
    authorName,
    evidence,
  }: { slug: string; viewer: Viewer; authorName: string; evidence: string },
): Promise<void> {
  await database.transaction(async (inner) => {
    if ((await inner.query('SELECT 1 FROM papers WHERE slug = $1', [slug])).length === 0)
      throw new Refused(404, `There is no paper ${slug}.`);
    const made = await inner.query(
      `INSERT INTO authorships (slug, user_id, author_name, evidence) VALUES ($1, $2, $3, $4)
       ON CONFLICT (slug, user_id) WHERE status <> 'denied' DO NOTHING RETURNING id`,
      [slug, viewer.id, authorName, evidence],
    );
    if (made.length === 0) throw new Refused(409, 'You have claimed this paper already.');
  });
}

/** Confirms or denies a claim, with a reason for the claimant. A confirmed reader becomes an author. Both can be changed later. */
export async function decideClaim(
  database: Database,
  { id, actor, confirmed, reason }: { id: string; actor: Viewer; confirmed: boolean; reason: string },
): Promise<void> {
  await database.transaction(async (inner) => {
    const [claim] = await inner.query<{ userId: string; slug: string }>(
      'SELECT user_id AS "userId", slug FROM authorships WHERE id = $1 FOR UPDATE',
      [id],
    );
    if (!claim) throw new Refused(404, 'There is no such claim.');
    const others = await inner.query(
      `SELECT 1 FROM authorships WHERE slug = $1 AND user_id = $2 AND status <> 'denied' AND id <> $3`,
      [claim.slug, claim.userId, id],
    );
    if (others.length > 0)
      throw new Refused(409, 'A later claim of the same account takes its place; decide that one.');
    await inner.query('UPDATE authorships SET status = $2, reason = $3, decided_at = now() WHERE id = $1', [
      id,
      confirmed ? 'confirmed' : 'denied',
      reason,
    ]);
    // The role follows the claims, both ways; higher roles stay.
    await inner.query(
      `UPDATE users SET role = CASE WHEN EXISTS
         (SELECT 1 FROM authorships WHERE user_id = $1 AND status = 'confirmed') THEN 'author' ELSE 'reader' END
       WHERE id = $1 AND role IN ('reader', 'author')`,
      [claim.userId],
    );
    await audit(
      inner,
      actor,
      confirmed ? 'confirm authorship' : 'deny authorship',
      `authorship ${id}`,
      reason,
    );
  });
}

/** Claims that wait, the oldest first, then the latest that were decided. */
export function allClaims(database: Queries): Promise<AuthorshipView[]> {
  return withPlainTitles(
    database.query<AuthorshipView>(
      `SELECT ${columns} FROM ${tables}
       ORDER BY a.status <> 'pending', CASE WHEN a.status = 'pending' THEN a.created_at END, a.decided_at DESC LIMIT 100`,
    ),
  );
}

/** The claims of one account, the newest first. */
export function claimsOf(database: Queries, userId: string): Promise<AuthorshipView[]> {
  return withPlainTitles(
    database.query<AuthorshipView>(
      `SELECT ${columns} FROM ${tables} WHERE a.user_id = $1 ORDER BY a.created_at DESC`,
      [userId],
    ),
  );
}

/** Names of the accounts that are confirmed to have written a paper. */
export async function authorsHere(database: Queries, slug: string): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    `SELECT u.name FROM authorships a JOIN users u ON u.id = a.user_id WHERE a.slug = $1 AND a.status = 'confirmed' ORDER BY u.name`,
    [slug],
  );
  return rows.map(({ name }) => name);
}
