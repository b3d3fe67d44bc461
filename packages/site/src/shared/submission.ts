import { z } from 'zod';
import { parseArxivId } from './arxiv-id.ts';
import { daySchema } from './calendar.ts';
import { words } from './schemas.ts';

/** The first step: which paper. */
export const submitForm = z.object({
  paper: words(300).transform((text, context) => {
    const id = parseArxivId(text)?.id;
    if (!id)
      context.addIssue({
        code: 'custom',
        message: 'an arXiv id such as 2407.13168, or the address of its page',
      });
    return id ?? '';
  }),
  note: words(1000).trim().default(''),
});

/** The second, where arXiv could not be asked: what it would have said, typed in. */
export const typedForm = submitForm.extend({
  title: words(500).trim().min(1, 'some text'),
  authors: words(5000)
    .transform((text) =>
      text
        .split(/[\n,;]/)
        .map((name) => name.trim())
        .filter(Boolean),
    )
    .pipe(z.array(z.string()).min(1, 'at least one name').max(500, 'at most 500 names')),
  published: daySchema,
  abstract: words(10_000).trim().min(1, 'some text'),
});
