import { redirect } from 'react-router';
import { decisionForm } from '../../shared/social.ts';
import type { Role } from '../accounts/accounts.ts';
import { act, nextOf } from '../act.ts';
import { preparePapers } from '../prepare.ts';
import { decideClaim } from '../queries/authorships.ts';
import { decideComment, labelBot, setRole, suspend } from '../queries/moderation.ts';
import { approveSubmission, refuseSubmission } from '../queries/submissions.ts';
import { parseForm, Refused } from '../refused.ts';
import { services } from '../services.ts';

/** What curators and admins decide on the admin pages. Each decision is in the audit log. */
export function decide(request: Request, role: Role) {
  return act(request, { limit: 'account', role }, async (actor, form) => {
    const asked = parseForm(decisionForm, form);
    const { database, zone } = services();
    if ((asked.intent === 'role' || asked.intent === 'suspend') && role !== 'admin')
      throw new Refused(403, 'This is for admins.');
    switch (asked.intent) {
      case 'remove':
        await decideComment(database, { id: asked.comment, actor, reason: asked.reason });
        break;
      case 'keep':
        await decideComment(database, { id: asked.comment, actor });
        break;
      case 'claim':
        await decideClaim(database, {
          id: asked.claim,
          actor,
          confirmed: asked.decision === 'confirm',
          reason: asked.reason,
        });
        break;
      case 'approve':
        await approveSubmission(database, { id: asked.submission, actor, zone });
        await preparePapers(database, zone);
        break;
      case 'refuse':
        await refuseSubmission(database, { id: asked.submission, actor, reason: asked.reason });
        break;
      case 'bot':
        await labelBot(database, { userId: asked.user, actor, isBot: asked.isBot === '1' });
        break;
      case 'suspend':
        await suspend(database, {
          userId: asked.user,
          actor,
          suspended: asked.suspended === '1',
          reason: asked.reason,
        });
        break;
      case 'role':
        await setRole(database, { userId: asked.user, actor, role: asked.role });
        break;
    }
    return redirect(nextOf(form, request));
  });
}
