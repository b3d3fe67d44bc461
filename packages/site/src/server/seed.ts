import { catalogue } from '@saccade/papers';
import type { Database } from './database.ts';

/** Puts the catalogue's papers into the database. Papers that are there keep what they have. Returns how many were new. */
export async function seed(database: Database): Promise<number> {
  return database.transaction(async (inner) => {
    let added = 0;
    for (const paper of catalogue) {
      const rows = await inner.query(
        `INSERT INTO papers (slug, title, arxiv, listed_on, author_count, comment_count, links, family, summary)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (slug) DO NOTHING RETURNING slug`,
        [
          paper.slug,
          paper.title,
          paper.arxiv,
          paper.listedOn,
          paper.authorCount,
          paper.commentCount,
          JSON.stringify(paper.links),
          paper.family,
          paper.summary,
        ],
      );
      added += rows.length;
    }
    return added;
  });
}
