import { ArgumentError, type Device, type DeviceKind, openDevice, type Tier } from '@saccade/attention';
import { findRunnable, papers } from '@saccade/papers';
import { catalogue, findPaper } from '@saccade/papers/catalogue';
import type { Paper } from '@saccade/papers/kit';

export const deviceKinds = ['auto', 'webgpu', 'wasm', 'reference'] as const;
export const tiers = ['reference', 'wasm', 'portable', 'subgroup', 'matrix'] as const;

export interface DeviceOptions {
  device?: string;
  tier?: string;
}

/** Opens the device that --device and --tier ask for. */
export async function chooseDevice(options: DeviceOptions): Promise<Device> {
  const { device: kind = 'auto', tier } = options;
  if (!deviceKinds.includes(kind as never))
    throw new ArgumentError('saccade', '--device', kind, deviceKinds.join(', '));
  if (tier !== undefined && !tiers.includes(tier as never))
    throw new ArgumentError('saccade', '--tier', tier, tiers.join(', '));
  const device = await openDevice(
    kind as DeviceKind | 'auto',
    tier === undefined ? {} : { tier: tier as Tier },
  );
  if (tier !== undefined && device.tier !== tier) {
    await device.close();
    throw new ArgumentError(
      'saccade',
      '--tier',
      tier,
      `${device.tier}, the tier of the device ${device.kind}`,
    );
  }
  return device;
}

/** A paper of the catalogue by its slug. */
export function choosePaper(slug: string) {
  const facts = findPaper(slug);
  if (!facts)
    throw new ArgumentError(
      'saccade',
      'slug',
      slug,
      `one of ${catalogue.map((paper) => paper.slug).join(', ')}`,
    );
  return facts;
}

/** A paper whose mechanism runs, by its slug. */
export function chooseRunnable(slug: string): Paper {
  choosePaper(slug);
  const paper = findRunnable(slug);
  if (!paper)
    throw new ArgumentError(
      'saccade',
      'slug',
      `${slug}, whose mechanism does not run yet`,
      `one of ${papers.map((one) => one.slug).join(', ')}`,
    );
  return paper;
}

/** Parses --options by the paper's own declaration, over what `fitted` gives. */
export function chooseOptions(
  paper: Paper,
  text: string | undefined,
  fitted: Record<string, unknown> = {},
): unknown {
  let given: unknown = {};
  if (text !== undefined) {
    try {
      given = JSON.parse(text);
    } catch (error) {
      throw new ArgumentError(
        'saccade',
        '--options',
        `${text} (${(error as Error).message})`,
        'a JSON object',
      );
    }
    if (typeof given !== 'object' || given === null || Array.isArray(given))
      throw new ArgumentError('saccade', '--options', text, 'a JSON object');
  }
  const parsed = paper.options.safeParse({ ...fitted, ...(given as Record<string, unknown>) });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) =>
    issue.path.length > 0 ? `${issue.path.join('.')}: ${issue.message}` : issue.message,
  );
  throw new ArgumentError('saccade', '--options', text ?? JSON.stringify(fitted), problems.join('; '));
}
