import type { Citation } from './citation.ts';

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '{': '\\{',
  '}': '\\}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
};
const escaped = (text: string) =>
  text.replace(/[\\{}~^]/g, (sign) => escapes[sign]).replace(/[&%$#_]/g, '\\$&');
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** BibTeX in UTF-8. Double braces keep the capitals of the title. */
export function bibtexOf(citation: Citation): string {
  const { key, title, authors, year, month, arxiv, category, doi, journal, url } = citation;
  const fields: [string, string | null][] = [
    ['title', `{{${escaped(title)}}}`],
    // a name without a given part stays whole in braces of its own
    [
      'author',
      authors.length > 0
        ? `{${authors.map(({ family, given }) => (given ? `${escaped(family)}, ${escaped(given)}` : `{${escaped(family)}}`)).join(' and ')}}`
        : null,
    ],
    ['year', year === null ? null : `{${year}}`],
    ['month', month === null ? null : months[month - 1]],
    ['journal', journal === null ? null : `{${escaped(journal)}}`],
    ['eprint', arxiv === null ? null : `{${arxiv}}`],
    ['archivePrefix', arxiv === null ? null : '{arXiv}'],
    ['primaryClass', arxiv === null || category === null ? null : `{${category}}`],
    ['doi', doi === null ? null : `{${escaped(doi)}}`],
    ['url', url === null ? null : `{${url}}`],
  ];
  const lines = fields.filter(([, value]) => value !== null).map(([name, value]) => `  ${name} = ${value}`);
  return `@${journal === null ? 'misc' : 'article'}{${key},\n${lines.join(',\n')}\n}\n`;
}

/** RIS, with the line ends that its readers expect. */
export function risOf({
  key,
  title,
  authors,
  year,
  month,
  day,
  arxiv,
  doi,
  journal,
  abstract,
  url,
}: Citation): string {
  const two = (number: number | null) => (number === null ? '' : String(number).padStart(2, '0'));
  const lines: [string, string | null][] = [
    ['TY', journal === null ? 'UNPB' : 'JOUR'],
    ['ID', key],
    ['TI', title],
    ...authors.map(({ family, given }): [string, string] => ['AU', given ? `${family}, ${given}` : family]),
    ['PY', year === null ? null : String(year)],
    ['DA', year === null ? null : `${year}/${two(month)}/${two(day)}/`],
    ['JO', journal],
    ['PB', arxiv === null ? null : 'arXiv'],
    ['AN', arxiv === null ? null : `arXiv:${arxiv}`],
    ['DO', doi],
    ['UR', url],
    ['AB', abstract],
    ['ER', ''],
  ];
  return lines
    .filter(([, value]) => value !== null)
    .map(([tag, value]) => `${tag}  - ${value}\r\n`)
    .join('');
}

/** One item of CSL-JSON (schema 1.0). */
export function cslOf({
  key,
  title,
  authors,
  year,
  month,
  day,
  arxiv,
  doi,
  journal,
  abstract,
  url,
}: Citation) {
  return {
    id: key,
    type: journal === null ? 'article' : 'article-journal',
    title,
    ...(authors.length > 0 && {
      author: authors.map(({ family, given }) => (given ? { family, given } : { literal: family })),
    }),
    ...(year !== null && { issued: { 'date-parts': [[year, month, day].filter((part) => part !== null)] } }),
    ...(journal !== null && { 'container-title': journal }),
    ...(arxiv !== null && { publisher: 'arXiv', number: `arXiv:${arxiv}` }),
    ...(doi !== null && { DOI: doi }),
    ...(url !== null && { URL: url }),
    ...(abstract !== null && { abstract }),
  };
}

/** What reference managers read from the head of a page (Highwire tags). */
export function citationTags({
  title,
  authors,
  year,
  month,
  day,
  arxiv,
  doi,
  journal,
  abstract,
}: Citation): { name: string; content: string }[] {
  const date = [year, month, day]
    .filter((part) => part !== null)
    .map((part) => String(part).padStart(2, '0'));
  const tags: [string, string | null][] = [
    ['citation_title', title],
    ...authors.map(({ whole }): [string, string] => ['citation_author', whole]),
    ['citation_publication_date', date.length > 0 ? date.join('/') : null],
    ['citation_journal_title', journal],
    ['citation_doi', doi],
    ['citation_arxiv_id', arxiv],
    ['citation_pdf_url', arxiv && `https://arxiv.org/pdf/${arxiv}`],
    ['citation_abstract', abstract],
  ];
  return tags.flatMap(([name, content]) => (content === null ? [] : [{ name, content }]));
}
