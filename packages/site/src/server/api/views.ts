import { createHash } from 'node:crypto';
import type { z } from '@hono/zod-openapi';
import { thumbnails } from '@saccade/papers/thumbnails';
import type { PaperDetail, VerdictName } from '../../shared/schemas.ts';
import { IMPORTER } from '../accounts/reserved-names.ts';
import type { dailyItemSchema, paperSchema, userSchema } from './schemas.ts';

type Counts = ReadonlyMap<string, Partial<Record<VerdictName, number>>>;

/** Ids in the form of Hugging Face's, 24 hexadecimal digits, that stay the same for the same thing. */
const idOf = (...parts: readonly (string | number)[]) =>
  createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 24);

const submitterOf = (name: string | null, origin: string): z.infer<typeof userSchema> => ({
  _id: idOf('user', name ?? IMPORTER),
  avatarUrl: `${origin}/favicon.svg`,
  fullname: name ?? 'Saccade',
  name: name ?? IMPORTER,
  type: name === null ? 'org' : 'user',
  isPro: false,
});

const repository = /^https:\/\/github\.com\/([\w.-]+\/[\w.-]+?)(?:\.git)?\/?$/;

/** A paper in the shape of Hugging Face's API. What is unknown is left out. */
export function paperOf(paper: PaperDetail, counts: Counts, origin: string): z.infer<typeof paperSchema> {
  const github = paper.links.find((link) => repository.test(link));
  const project = paper.links.find((link) => link !== github);
  const listed = paper.listedAt ?? (paper.listedOn && `${paper.listedOn}T00:00:00.000Z`);
  return {
    id: paper.arxiv ?? paper.slug,
    authors: (paper.authors ?? []).map((name, at) => ({
      _id: idOf('author', paper.slug, at, name),
      name,
      hidden: false,
    })),
    title: paper.title,
    summary: paper.abstract ?? paper.summary ?? '',
    ...(paper.publishedAt && { publishedAt: paper.publishedAt }),
    ...(listed && { submittedOnDailyAt: listed }),
    upvotes: paper.upvotes,
    discussionId: idOf('discussion', paper.slug),
    ...(github && { githubRepo: github }),
    ...(project && { projectPage: project }),
    ...(paper.withdrawnAt && { withdrawnAt: paper.withdrawnAt }),
    saccade: {
      slug: paper.slug,
      page: `${origin}/papers/${paper.slug}`,
      runs: paper.runs,
      family: paper.family,
      summary: paper.summary,
      listedOn: paper.listedOn,
      authorCount: paper.authorCount,
      commentsOnList: paper.commentCount,
      abstract:
        paper.abstract === null ? null : { source: paper.abstractSource, licence: paper.abstractLicence },
      version: paper.version,
      categories: paper.categories,
      doi: paper.doi,
      journal: paper.journal,
      links: paper.links,
      verdicts: { ...counts.get(paper.slug) } as Record<string, number>,
    },
  };
}

/** A paper as an item of a feed. */
export function itemOf(detail: PaperDetail, counts: Counts, origin: string): z.infer<typeof dailyItemSchema> {
  const paper = paperOf(detail, counts, origin);
  return {
    paper,
    ...(paper.publishedAt && { publishedAt: paper.publishedAt }),
    title: paper.title,
    summary: paper.summary,
    thumbnail: `${origin}${thumbnails[detail.slug] ? `/assets-lab/thumbnails/${detail.slug}.png` : '/favicon.svg'}`,
    numComments: detail.comments,
    submittedBy: submitterOf(detail.submitter, origin),
    isAuthorParticipating: false,
  };
}
