import { data, redirect } from 'react-router';
import { submitForm, typedForm } from '../../shared/submission.ts';
import { act } from '../act.ts';
import type { ImportedPaper } from '../import/record.ts';
import { knownPaper, submitPaper } from '../queries/submissions.ts';
import { parseForm, Refused } from '../refused.ts';
import { services } from '../services.ts';

/** What the page shows where arXiv could not be asked: the form for its facts, with what is known. */
export interface TypeIt {
  typeIt: {
    arxiv: string;
    note: string;
    /** Why arXiv was not asked. */
    why?: string;
    /** What was typed in before, if that was refused. */
    typed?: Partial<Record<(typeof typedFields)[number], string>>;
  };
}
const typedFields = ['title', 'authors', 'published', 'abstract'] as const;

/**
 * A reader puts a paper forward: by its id, whose facts arXiv tells; or with the facts typed in where arXiv cannot be
 * asked. A paper that is here leads to its page.
 */
export function submitAction(request: Request) {
  return act(request, { limit: 'submit' }, async (viewer, form) => {
    const { database, lookUp, submitDays: days } = services();
    const typed = form.get('intent') === 'typed';
    const asked = parseForm(submitForm, form);
    const { paper: arxiv, note } = asked;
    const slug = await knownPaper(database, arxiv);
    if (slug) return redirect(`/papers/${slug}?known=1`);
    if (typed) {
      try {
        const { title, authors, published, abstract } = parseForm(typedForm, form);
        const paper = typedPaper({ arxiv, title, authors, published, abstract });
        await submitPaper(database, { paper, source: 'typed', note, viewer, days });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        const before = Object.fromEntries(typedFields.map((name) => [name, String(form.get(name) ?? '')]));
        return data(
          { error: error.message, typeIt: { arxiv, note, typed: before } },
          { status: error.status },
        );
      }
      return redirect(`/submit?sent=${encodeURIComponent(arxiv)}`);
    }
    const found = await lookUp(arxiv);
    if ('away' in found) return data({ typeIt: { arxiv, note, why: found.away } } satisfies TypeIt);
    if (!found.paper) throw new Refused(404, `arXiv knows no paper ${arxiv}.`);
    const paper = { ...found.paper, arxiv };
    await submitPaper(database, { paper, source: 'arxiv', note, viewer, days });
    return redirect(`/submit?sent=${encodeURIComponent(arxiv)}`);
  });
}

function typedPaper({
  arxiv,
  title,
  authors,
  published,
  abstract,
}: {
  arxiv: string;
  title: string;
  authors: readonly string[];
  published: string;
  abstract: string;
}): ImportedPaper & { arxiv: string } {
  const line = (text: string) => text.replace(/\s+/g, ' ').trim();
  return {
    source: 'reader',
    arxiv,
    // Whatever arXiv says later, its first version included, takes the place of what was typed.
    version: null,
    title: line(title),
    authors: authors.map(line),
    abstract: line(abstract),
    abstractSource: 'arXiv, typed in by a reader',
    abstractLicence: null,
    publishedAt: new Date(`${published}T00:00:00Z`).toISOString(),
    revisedAt: null,
    withdrawnAt: null,
    listedAt: null,
    categories: [],
    doi: null,
    journal: null,
    links: [],
  };
}
