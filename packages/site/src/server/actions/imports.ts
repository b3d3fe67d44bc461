import { redirect } from 'react-router';
import { planForm } from '../../shared/import-plan.ts';
import { act } from '../act.ts';
import { addPlan, changePlan, requestOf } from '../import/plans.ts';
import { IMPORTS } from '../jobs/site-jobs.ts';
import { parseForm } from '../refused.ts';
import { services } from '../services.ts';

/** The forms of imports that run by themselves. */
export function importsAction(request: Request) {
  return act(request, { limit: 'account', role: 'admin' }, async (actor, form) => {
    const asked = parseForm(planForm, form);
    const { database, jobs } = services();
    if (asked.intent === 'plan') {
      await addPlan(database, { request: requestOf(asked), hour: asked.hour, actor });
    } else {
      await changePlan(database, { id: asked.plan, change: asked.intent, actor });
      if (asked.intent === 'run') await jobs.runNow(IMPORTS);
    }
    return redirect('/admin/imports');
  });
}
