import { extname } from 'node:path';
import { ArgumentError, writeSafetensors } from '@saccade/attention';
import { type Comparison, compare, type Numbers } from '@saccade/papers/kit';
import { chooseDevice, chooseOptions, chooseRunnable, type DeviceOptions } from '../choose.ts';
import { type Context, onDevice, printJson, progressLine, table } from '../console.ts';
import { checkWritable, writeAtomically } from '../files.ts';
import { type InputOptions, type MadeInputs, makeInputs } from '../inputs.ts';
import { drawPictures } from '../picture.ts';

export interface RunOptions extends DeviceOptions, InputOptions {
  options?: string;
  out?: string;
}

/** `saccade run`: a mechanism beside dense attention on a picture, a clip or a text. */
export async function run(context: Context, slug: string, options: RunOptions): Promise<void> {
  const paper = chooseRunnable(slug);
  if (options.out !== undefined) await checkWritable('--out', options.out);
  const made = await makeInputs(paper, options, options.device === 'reference');
  if (options.out !== undefined && isPicture(options.out) && made.kind === 'text')
    throw new ArgumentError(
      'saccade',
      '--out',
      `${options.out} for a text`,
      'a name that ends in .safetensors',
    );
  const { tokens } = made;
  const parsed = chooseOptions(paper, options.options, paper.fit(tokens.grid) as Record<string, unknown>);
  const device = await chooseDevice(options);
  const say = progressLine(context);
  await onDevice(device, context.signal, async () => {
    const inputs = {
      query: device.tensor(tokens.query, tokens.shape, 'f32'),
      key: device.tensor(tokens.key, tokens.shape, 'f32'),
      value: device.tensor(tokens.value, tokens.shape, 'f32'),
    };
    const mechanism = await paper.mechanism();
    const compared = await compare(device, inputs, mechanism, parsed, {
      samples: SAMPLES,
      patienceMs: PATIENCE_MS,
      signal: context.signal,
      progress: (_, what) => say(`${slug}: ${what}`),
    });
    say('');
    if (options.out !== undefined)
      await writeAtomically('--out', options.out, await encode(options.out, made, compared));
    const told = {
      slug,
      input: {
        kind: made.kind,
        source: made.source,
        grid: tokens.grid,
        shape: tokens.shape,
        notes: tokens.notes,
      },
      options: parsed,
      device: device.kind,
      tier: device.tier,
      adapter: device.description,
      ...toldOf(compared.numbers),
      ...(options.out !== undefined && { out: options.out }),
    };
    if (context.json) printJson(context, told);
    else printComparison(context, told);
  });
}

const SAMPLES = 5;
/** Slow devices get fewer samples than this takes. */
const PATIENCE_MS = 8000;

/** The numbers of a comparison under the names that --json has: the whole mechanism, plan or selection included. */
function toldOf({ mechanismMs, denseMs, samples, ...numbers }: Numbers) {
  return {
    timeMs: mechanismMs,
    denseTimeMs: denseMs,
    timesFasterThanDense: denseMs / mechanismMs,
    samplesMs: samples.mechanism,
    denseSamplesMs: samples.dense,
    /** Mean share of a query's dense attention that falls on keys which the mechanism sees, over sampled queries. */
    keptMass: numbers.massKept,
    sampledQueries: numbers.massQueries,
    relativeError: numbers.relativeError,
    flops: numbers.flops,
    denseFlops: numbers.denseFlops,
    /** Largest memory beyond the inputs. */
    memoryBytes: numbers.extraBytes,
    denseMemoryBytes: numbers.denseExtraBytes,
  };
}

const isPicture = (path: string) => ['.png', '.jpg', '.jpeg', '.webp'].includes(extname(path).toLowerCase());

async function encode(path: string, made: MadeInputs, compared: Comparison): Promise<Uint8Array> {
  if (isPicture(path)) return drawPictures(path, made.tokens, [compared.dense, compared.output]);
  const { query, key, value, shape } = made.tokens;
  return writeSafetensors(
    new Map([
      ['q', { shape, data: query }],
      ['k', { shape, data: key }],
      ['v', { shape, data: value }],
      ['out', { shape, data: compared.output }],
      ['logSumExp', { shape: shape.slice(0, 3), data: compared.logSumExp }],
      ['dense', { shape, data: compared.dense }],
    ]),
  );
}

function printComparison(
  context: Context,
  told: {
    slug: string;
    input: {
      kind: string;
      source: string;
      grid: readonly number[];
      shape: readonly number[];
      notes: readonly string[];
    };
    options: unknown;
    device: string;
    tier: string;
    adapter: string;
    out?: string;
  } & ReturnType<typeof toldOf>,
): void {
  const { out } = context.console;
  const { kind, source, grid, shape, notes } = told.input;
  out(`${told.slug} on the ${kind} ${source}, ${grid.join(' x ')} tokens, [${shape.join(', ')}]\n`);
  out(`options ${JSON.stringify(told.options)}\n`);
  out('queries and keys are fixed features of the input, not a trained model\n');
  for (const note of notes) out(`note: ${note}\n`);
  out(`${told.adapter} (${told.device}, tier ${told.tier})\n\n`);
  const mega = (flops: number) => `${(flops / 1e6).toFixed(1)} MFLOP`;
  const kilobytes = (bytes: number) => `${Math.round(bytes / 1024)} KiB`;
  out(
    table([
      ['', told.slug, 'dense'],
      ['time (median)', `${told.timeMs.toFixed(2)} ms`, `${told.denseTimeMs.toFixed(2)} ms`],
      ['operations', mega(told.flops), mega(told.denseFlops)],
      ['memory beyond inputs', kilobytes(told.memoryBytes), kilobytes(told.denseMemoryBytes)],
    ]),
  );
  out(`\n${told.timesFasterThanDense.toFixed(2)} times as fast as dense attention\n`);
  out(
    `${(100 * told.keptMass).toFixed(1)} % of the dense attention mass kept (${told.sampledQueries} queries)\n`,
  );
  out(`${told.relativeError.toPrecision(3)} relative error of the output against dense\n`);
  if (told.out !== undefined) out(`written to ${told.out}\n`);
}
