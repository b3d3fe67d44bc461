import { data, redirect } from 'react-router';
import { paperForm } from '../../shared/social.ts';
import { act, nextOf } from '../act.ts';
import type { LimitName } from '../limits.ts';
import { claimPaper } from '../queries/authorships.ts';
import { addComment, deleteComment, editComment } from '../queries/comments.ts';
import { keep } from '../queries/library.ts';
import { report } from '../queries/moderation.ts';
import { setVote } from '../queries/votes.ts';
import { parseForm, Refused } from '../refused.ts';
import { services } from '../services.ts';

const limits = new Map<unknown, LimitName>([
  ['vote', 'vote'],
  ['report', 'report'],
  ['claim', 'claim'],
  ['keep', 'library'],
]);

/**
 * All forms of a paper's page: votes, comments, reports, claims of authorship, what is kept. Without JavaScript each answers with the
 * page that the reader was on; a vote with the field `inPlace` answers with the new count alone.
 */
export async function paperAction(request: Request, slug: string) {
  const intent = (await request.clone().formData()).get('intent');
  return act(request, { limit: limits.get(intent) ?? 'comment' }, async (viewer, form) => {
    const asked = parseForm(paperForm, form);
    const { database } = services();
    switch (asked.intent) {
      case 'vote': {
        const upvotes = await setVote(database, {
          slug,
          userId: viewer.id,
          wanted: asked.wanted === '1',
          signal: request.signal,
        });
        if (upvotes === undefined) throw new Refused(404, `There is no paper ${slug}.`);
        if (form.has('inPlace')) return data({ upvotes, voted: asked.wanted === '1' });
        break;
      }
      case 'comment': {
        const id = await addComment(database, {
          slug,
          author: viewer,
          raw: asked.text,
          parentId: asked.parent,
        });
        return redirect(`/papers/${slug}#comment-${id}`);
      }
      case 'edit':
        await editComment(database, { id: asked.comment, author: viewer, raw: asked.text });
        return redirect(`/papers/${slug}#comment-${asked.comment}`);
      case 'delete':
        await deleteComment(database, asked.comment, viewer);
        return redirect(`/papers/${slug}#discussion`);
      case 'report':
        await report(database, { commentId: asked.comment, viewer, reason: asked.reason });
        return redirect(`/papers/${slug}?reported=${asked.comment}#comment-${asked.comment}`);
      case 'keep':
        await keep(database, {
          userId: viewer.id,
          slug,
          bookmarked: asked.bookmarked === '1',
          state: asked.state,
          note: asked.note,
          tags: asked.tags,
        });
        return redirect(`/papers/${slug}?kept=1`);
      case 'claim':
        await claimPaper(database, { slug, viewer, authorName: asked.authorName, evidence: asked.evidence });
        return redirect('/account#claims');
    }
    return redirect(nextOf(form, request));
  });
}
