import { findRunnable, papers } from '@saccade/papers';
import { redirect } from 'react-router';
import { measurementForm } from '../../shared/worker.ts';
import { mayActAs } from '../accounts/accounts.ts';
import { act, nextOf } from '../act.ts';
import { parseForm, Refused } from '../refused.ts';
import { services } from '../services.ts';
import { askToMeasure, cancelMeasurement, retryMeasurement } from '../workers/measurements.ts';
import { registerWorker, revokeWorker } from '../workers/workers.ts';

/** The forms of measurements and machines: curators queue, cancel and try again; admins register and revoke. */
export function measureAction(request: Request) {
  return act(request, { limit: 'account', role: 'curator' }, async (actor, form) => {
    const asked = parseForm(measurementForm, form);
    const { database, ledger } = services();
    if ((asked.intent === 'register' || asked.intent === 'revoke') && !mayActAs(actor, 'admin'))
      throw new Refused(403, 'This is for admins.');
    switch (asked.intent) {
      case 'measure': {
        if (asked.paper !== 'all' && !findRunnable(asked.paper))
          throw new Refused(400, `paper is ${asked.paper}, which does not run; allowed: one of the list.`);
        const asNew = await askToMeasure(database, {
          slugs: asked.paper === 'all' ? papers.map(({ slug }) => slug) : [asked.paper],
          worker: asked.worker === 'any' ? undefined : asked.worker,
          quick: asked.quick === '1',
          actor,
        });
        if (asNew === 0) throw new Refused(409, 'That is queued or running already.');
        break;
      }
      case 'cancel':
        await cancelMeasurement(database, { id: asked.measurement, actor });
        break;
      case 'retry':
        await retryMeasurement(database, { id: asked.measurement, actor });
        break;
      case 'register':
        await registerWorker(database, { name: asked.name, publicKey: asked.publicKey, actor });
        break;
      case 'revoke':
        await revokeWorker(database, { id: asked.worker, actor, results: asked.results === '1' });
        await ledger.refresh();
        break;
    }
    return redirect(nextOf(form, request));
  });
}
