import { findRunnable } from '@saccade/papers';
import { z } from 'zod';
import { choosePaper } from '../choose.ts';
import { type Context, printJson, table } from '../console.ts';

interface OptionSchema {
  type?: string | string[];
  default?: unknown;
  minimum?: number;
  maximum?: number;
  enum?: unknown[];
  label?: string;
  unit?: string;
  description?: string;
}

/** `saccade show`: facts, options, claims, and what is not done. */
export async function show(context: Context, slug: string): Promise<void> {
  const facts = choosePaper(slug);
  const paper = findRunnable(slug);
  const claims = paper ? await paper.claims() : [];
  const schema = paper
    ? (z.toJSONSchema(paper.options, { io: 'input', unrepresentable: 'any' }) as {
        properties?: Record<string, OptionSchema>;
      })
    : undefined;
  if (context.json) {
    printJson(context, {
      ...facts,
      runnable: paper !== undefined,
      ...(paper && {
        idea: paper.idea,
        inputs: paper.inputs,
        options: schema,
        reconstructed: paper.reconstructed,
        limits: paper.limits,
        claims: claims.map((claim) => ({
          id: claim.id,
          states: claim.states,
          where: claim.where,
          check: claim.check,
          ...(claim.check === 'none' ? { verdict: claim.verdict, reason: claim.reason } : { how: claim.how }),
        })),
      }),
    });
    return;
  }
  const out = (text = '') => context.console.out(`${text}\n`);
  out(facts.title);
  out(
    [
      facts.listedOn ?? 'date unknown',
      facts.authorCount === null ? 'authors unknown' : `${facts.authorCount} authors`,
      facts.family,
      facts.arxiv ? `arXiv ${facts.arxiv}` : undefined,
    ]
      .filter((part) => part !== undefined)
      .join(' · '),
  );
  for (const link of facts.links) out(link);
  out(`\n${facts.summary}`);
  if (!paper) {
    out('\nIts mechanism does not run here yet.');
    return;
  }
  out(`\nRuns on: ${paper.inputs.join(', ')}`);
  out('\nOptions (--options as JSON)');
  context.console.out(
    table(
      Object.entries(schema?.properties ?? {}).map(([name, option]) => [
        `  ${name}`,
        option.default === undefined ? '' : `default ${JSON.stringify(option.default)}`,
        describeOption(option),
      ]),
    ),
  );
  section(
    out,
    'Claims',
    claims.map(
      (claim) =>
        `${claim.states} (${claim.where}): ${claim.check === 'none' ? `${claim.verdict}, ${claim.reason}` : claim.how}`,
    ),
  );
  section(out, 'Reconstructed by us', paper.reconstructed);
  section(out, 'Not done', paper.limits);
}

function describeOption({
  label,
  unit,
  description,
  minimum,
  maximum,
  enum: choices,
  type,
}: OptionSchema): string {
  // Zod writes the safe integers as bounds where none were declared.
  const bound = (value: number | undefined) =>
    value === undefined || Math.abs(value) >= Number.MAX_SAFE_INTEGER ? undefined : value;
  const [low, high] = [bound(minimum), bound(maximum)];
  const range = choices
    ? choices.join(' | ')
    : low === undefined && high === undefined
      ? String(type ?? '')
      : low !== undefined && high !== undefined
        ? `${low} to ${high}`
        : low !== undefined
          ? `at least ${low}`
          : `at most ${high}`;
  return [label ?? description, range && `(${[range, unit].filter(Boolean).join(' ')})`]
    .filter(Boolean)
    .join(' ');
}

function section(out: (text?: string) => void, title: string, lines: readonly string[]): void {
  if (lines.length === 0) return;
  out(`\n${title}`);
  for (const line of lines) out(`  - ${line}`);
}
