import { z } from 'zod';
import { words } from './schemas.ts';

/** Sources that can be asked by themselves, with what is asked of each. */
export const plannedSources = {
  'arxiv-rss': 'arXiv, new papers of categories',
  arxiv: 'arXiv, answers to a question',
  'arxiv-oai': 'arXiv, all changes of a set',
  huggingface: 'Hugging Face, its daily papers',
} as const;
export type PlannedSource = keyof typeof plannedSources;
const sourceNames = Object.keys(plannedSources) as [PlannedSource, ...PlannedSource[]];

const id = z.uuid('an id from this page');
export const planForm = z.discriminatedUnion(
  'intent',
  [
    z.object({
      intent: z.literal('plan'),
      source: z.enum(sourceNames, `one of ${sourceNames.join(', ')}`),
      /** Categories, a question or a set, as the source wants it. */
      what: words(1000).trim().default(''),
      hour: z.coerce.number('a number').int('a whole number').min(0, 'at least 0').max(23, 'at most 23'),
      list: z.literal('1', 'absent or 1').optional(),
    }),
    z.object({ intent: z.literal('run'), plan: id }),
    z.object({ intent: z.literal('pause'), plan: id }),
    z.object({ intent: z.literal('resume'), plan: id }),
    z.object({ intent: z.literal('remove'), plan: id }),
  ],
  'one of the forms of this page',
);
