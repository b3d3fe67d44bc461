import { findRunnable } from '@saccade/papers';
import { plainText } from '../../shared/latex.ts';
import type { PaperDetail, VerdictView } from '../../shared/schemas.ts';
import { citationOf } from './citation.ts';
import { bibtexOf } from './formats.ts';

/** A paper's page as Markdown: for people who read in a terminal, and for programs. */
export function markdownOf(paper: PaperDetail, verdicts: readonly VerdictView[], page: string): string {
  const citation = citationOf(paper);
  const runnable = findRunnable(paper.slug);
  const facts = [
    citation.authors.length > 0
      ? `Authors: ${citation.authors.map(({ whole }) => escaped(whole)).join(', ')}`
      : paper.authorCount === null
        ? 'Authors: unknown here'
        : `Authors: ${paper.authorCount}, names unknown here`,
    paper.listedOn && `Listed: ${paper.listedOn}`,
    paper.publishedAt && `Published: ${paper.publishedAt.slice(0, 10)}`,
    paper.withdrawnAt && `Withdrawn: ${paper.withdrawnAt.slice(0, 10)}`,
    paper.arxiv && `arXiv: [${paper.arxiv}](https://arxiv.org/abs/${paper.arxiv})`,
    paper.family && `Family: ${paper.family}`,
    ...paper.links.map((link) => `Link: <${link}>`),
    `Page: <${page}>`,
  ].filter((line) => line !== null);
  const sections = [
    `# ${escaped(citation.title)}`,
    facts.map((line) => `- ${line}`).join('\n'),
    paper.summary && `## Summary\n\n${escaped(paper.summary)}`,
    paper.abstract &&
      `## Abstract\n\n${escaped(plainText(paper.abstract))}\n\nSource: ${paper.abstractSource ?? 'unknown'}${paper.abstractLicence ? `, ${paper.abstractLicence}` : ''}`,
    runnable && `## It runs\n\n${escaped(runnable.idea)}\n\n\`npx saccade run ${paper.slug}\``,
    verdicts.length > 0 &&
      `## Ledger\n\n| reported | verdict | because | machine |\n| --- | --- | --- | --- |\n${verdicts
        .map(
          ({ states, verdict, because, adapter }) =>
            `| ${[states, verdict, because, adapter].map(cell).join(' | ')} |`,
        )
        .join('\n')}`,
    `## BibTeX\n\n\`\`\`bibtex\n${bibtexOf(citation)}\`\`\``,
  ];
  return `${sections.filter(Boolean).join('\n\n')}\n`;
}

/** Signs that Markdown or HTML would read as more than text. */
const escaped = (text: string) => text.replace(/[\\`*_[\]<>#|]/g, '\\$&');
const cell = (text: string) => escaped(text).replace(/\s+/g, ' ');
