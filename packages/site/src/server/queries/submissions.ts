import { monthOfArxiv } from '../../shared/arxiv-id.ts';
import { mayActAs, type Viewer } from '../accounts/accounts.ts';
import type { Database, Queries } from '../database.ts';
import type { ImportedPaper } from '../import/record.ts';
import { storePaper } from '../import/store.ts';
import { Refused } from '../refused.ts';
import { audit } from './moderation.ts';

/** A paper that a reader put forward, as the reader and the curators see it. */
export interface SubmissionView {
  id: string;
  arxiv: string;
  title: string;
  authors: string[];
  abstract: string;
  publishedAt: string;
  source: 'arxiv' | 'typed';
  note: string;
  status: 'pending' | 'approved' | 'refused';
  reason: string | null;
  /** Who put it forward. */
  name: string;
  /** Its page, once there is one. */
  slug: string | null;
  createdAt: Date;
  decidedAt: Date | null;
  /** Decided, and its reader has not seen that. */
  isNew: boolean;
}

const columns = `s.id, s.arxiv, s.paper ->> 'title' AS title, coalesce(s.paper -> 'authors', '[]') AS authors,
  coalesce(s.paper ->> 'abstract', '') AS abstract, s.paper ->> 'publishedAt' AS "publishedAt", s.source, s.note, s.status,
  s.reason, u.name, p.slug, s.created_at AS "createdAt", s.decided_at AS "decidedAt",
  s.decided_at IS NOT NULL AND s.read_at IS NULL AS "isNew"`;
const tables = 'submissions s JOIN users u ON u.id = s.user_id LEFT JOIN papers p ON p.arxiv = s.arxiv';

const DAY_MS = 86_400_000;

/**
 * What stands in the way of a paper before anything is asked of arXiv.
 * @returns the slug of its page, if it has one
 * @throws Refused where it waits already, or was refused
 */
export async function knownPaper(database: Queries, arxiv: string): Promise<string | undefined> {
  const [paper] = await database.query<{ slug: string }>('SELECT slug FROM papers WHERE arxiv = $1', [arxiv]);
  if (paper) return paper.slug;
  const [other] = await database.query<{ status: string; reason: string }>(
    `SELECT status, reason FROM submissions WHERE arxiv = $1 AND status IN ('pending', 'refused')
     ORDER BY status <> 'pending', decided_at DESC LIMIT 1`,
    [arxiv],
  );
  if (other?.status === 'pending') throw new Refused(409, `${arxiv} waits for the curators already.`);
  if (other) throw new Refused(409, `${arxiv} was put forward before and refused: ${other.reason}`);
  return undefined;
}

/**
 * Puts a paper forward.
 * @param days a reader's paper may be so old; 0: any age. A curator's may always be.
 * @throws Refused where it is too old, was published in another month than its id says, or waits already
 */
export async function submitPaper(
  database: Database,
  {
    paper,
    source,
    note,
    viewer,
    days,
    now = new Date(),
  }: {
    paper: ImportedPaper & { arxiv: string };
    source: 'arxiv' | 'typed';
    note: string;
    viewer: Viewer;
    days: number;
    now?: Date;
  },
): Promise<void> {
  const published = Date.parse(paper.publishedAt ?? '');
  if (Number.isNaN(published)) throw new Refused(400, 'published is missing; allowed: a day as YYYY-MM-DD.');
  const day = new Date(published).toISOString().slice(0, 10);
  const month = monthOfArxiv(paper.arxiv);
  // Numbers are given on announcement, days after the paper was sent in. What arXiv says itself is not doubted.
  const near = [-7, 0, 7].map((shift) => new Date(published + shift * DAY_MS).toISOString().slice(0, 7));
  if (source === 'typed' && !near.includes(month))
    throw new Refused(400, `published is ${day}; allowed: a day of ${month}, as the id ${paper.arxiv} says.`);
  if (days > 0 && now.getTime() - published > days * DAY_MS && !mayActAs(viewer, 'curator'))
    throw new Refused(
      403,
      `It was published on ${day}; readers may put papers forward within ${days} days. Ask a curator for older ones.`,
    );
  const made = await database.query(
    `INSERT INTO submissions (user_id, arxiv, source, paper, note) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (arxiv) WHERE status = 'pending' DO NOTHING RETURNING id`,
    [viewer.id, paper.arxiv, source, JSON.stringify(paper), note],
  );
  if (made.length === 0) throw new Refused(409, `${paper.arxiv} waits for the curators already.`);
}

/** What waits, the oldest first, then the latest that were decided. */
export function allSubmissions(database: Queries): Promise<SubmissionView[]> {
  return database.query(
    `SELECT ${columns} FROM ${tables}
     ORDER BY s.status <> 'pending', CASE WHEN s.status = 'pending' THEN s.created_at END, s.decided_at DESC LIMIT 100`,
  );
}

/** What one account put forward, the newest first. */
export function submissionsOf(database: Queries, userId: string): Promise<SubmissionView[]> {
  return database.query(
    `SELECT ${columns} FROM ${tables} WHERE s.user_id = $1 ORDER BY s.created_at DESC LIMIT 100`,
    [userId],
  );
}

/**
 * Makes a submission a paper of today's edition; also one that was refused before.
 * @param zone of the editions
 */
export async function approveSubmission(
  database: Database,
  { id, actor, zone }: { id: string; actor: Viewer; zone: string },
): Promise<void> {
  await database.transaction(async (inner) => {
    const [row] = await inner.query<{ paper: ImportedPaper }>(
      `SELECT paper FROM submissions WHERE id = $1 AND status <> 'approved' FOR UPDATE`,
      [id],
    );
    if (!row) throw new Refused(409, 'There is no such submission, or it is approved already.');
    await storePaper(inner, { ...row.paper, listedAt: new Date().toISOString() }, zone);
    await inner.query(
      `UPDATE submissions SET status = 'approved', reason = NULL, decided_at = now(), read_at = NULL WHERE id = $1`,
      [id],
    );
    await audit(inner, actor, 'approve submission', `submission ${id}`);
  });
}

/** Refuses a submission that waits, with a reason that its reader sees. */
export async function refuseSubmission(
  database: Database,
  { id, actor, reason }: { id: string; actor: Viewer; reason: string },
): Promise<void> {
  await database.transaction(async (inner) => {
    const rows = await inner.query(
      `UPDATE submissions SET status = 'refused', reason = $2, decided_at = now(), read_at = NULL
       WHERE id = $1 AND status = 'pending' RETURNING id`,
      [id, reason],
    );
    if (rows.length === 0) throw new Refused(409, 'There is no such submission, or it is decided already.');
    await audit(inner, actor, 'refuse submission', `submission ${id}`, reason);
  });
}
