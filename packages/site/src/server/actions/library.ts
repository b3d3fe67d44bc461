import { redirect } from 'react-router';
import { feedQuery } from '../../shared/schemas.ts';
import { libraryForm } from '../../shared/social.ts';
import { act } from '../act.ts';
import { answerFrom } from '../queries/answers.ts';
import { removeSearch, saveSearch, searchesOf, takeNew } from '../queries/searches.ts';
import { parseForm, Refused } from '../refused.ts';
import { services } from '../services.ts';

/** The forms of the library: save a search, forget it, have its new papers seen. */
export function libraryAction(request: Request) {
  return act(request, { limit: 'library' }, async (viewer, form) => {
    const asked = parseForm(libraryForm, form);
    const { database } = services();
    const answer = answerFrom(database);
    if (asked.intent === 'save') {
      const understood = feedQuery.safeParse(Object.fromEntries(new URLSearchParams(asked.query)));
      if (!understood.success) throw new Refused(400, 'The search is not one of the feed.');
      await saveSearch(database, { userId: viewer.id, name: asked.name, query: asked.query, answer });
    } else if (asked.intent === 'forget') {
      await removeSearch(database, asked.search, viewer.id);
    } else {
      const search = (await searchesOf(database, viewer.id)).find(({ id }) => id === asked.search);
      if (!search) throw new Refused(404, 'There is no such saved search of yours.');
      await takeNew(database, search, answer);
    }
    return redirect('/library#searches');
  });
}
