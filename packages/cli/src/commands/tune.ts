import { ArgumentError } from '@saccade/attention';
import { type TunedFamily, type TunedMask, type TuneOptions, tune } from '@saccade/attention/tune';
import { chooseDevice, type DeviceOptions } from '../choose.ts';
import { type Context, onDevice, printJson, progressLine, table } from '../console.ts';

export interface TuneCommandOptions extends DeviceOptions {
  headDim?: string;
  dtype?: string;
  mask?: string;
  tokens?: string;
  heads?: string;
  quick?: boolean;
}

/** What --quick leaves of the default families. */
const quick = { headDims: [64], masks: ['dense', 'causal'], tokens: [2048] } as const satisfies TuneOptions;

/** `saccade tune`: the fastest tiles of this adapter's kernels. Resolves with the exit code. */
export async function tuneKernels(context: Context, options: TuneCommandOptions): Promise<0 | 1> {
  const families: TuneOptions = {
    headDims: numbersOf('--head-dim', options.headDim),
    dtypes: wordsOf(options.dtype) as TuneOptions['dtypes'],
    masks: wordsOf(options.mask) as readonly TunedMask[] | undefined,
    tokens: numbersOf('--tokens', options.tokens),
    batchHeads: numbersOf('--heads', options.heads),
  };
  const asked = Object.fromEntries(Object.entries(families).filter(([, given]) => given !== undefined));
  const { device: kind = 'auto', tier } = options;
  // without a GPU that is an error of the machine, not a choice of another device
  const device = await chooseDevice({ device: kind === 'auto' ? 'webgpu' : kind, tier });
  const say = progressLine(context);
  const result = await onDevice(device, context.signal, () =>
    tune(device, {
      ...(options.quick && quick),
      ...asked,
      signal: context.signal,
      progress: (done, of, what) => say(`${done + 1}/${of} ${what}`),
    }),
  );
  say('');
  if (result.note !== undefined && !context.json) context.console.error(`${result.note}\n`);
  if (context.json)
    printJson(context, { device: device.kind, tier: device.tier, adapter: device.description, ...result });
  else {
    context.console.out(`${device.description}, tier ${device.tier}\n`);
    context.console.out(table(result.families.flatMap(linesOf)));
    if (result.kept) context.console.out(`kept in ${result.place}; attend() uses it from now on\n`);
  }
  return result.kept && result.families.every(({ timeMs }) => timeMs !== undefined) ? 0 : 1;
}

function linesOf(family: TunedFamily): string[][] {
  const { name, tile, timeMs, ownChoiceMs, batchHeads, tokens, dropped } = family;
  const gain =
    timeMs !== undefined && ownChoiceMs !== undefined ? `${(ownChoiceMs / timeMs).toFixed(2)} times` : '';
  const time = timeMs === undefined ? 'nothing could be timed' : `${timeMs.toPrecision(3)} ms`;
  return [
    [name, tile ?? "the tier's own choice", time, gain, `timed with ${tokens} tokens, ${batchHeads} heads`],
    ...dropped.map((one) => ['', one.tile ?? "the tier's own choice", `dropped: ${one.reason}`]),
  ];
}

function wordsOf(text: string | undefined): string[] | undefined {
  return text?.split(',').map((word) => word.trim());
}

function numbersOf(argument: string, text: string | undefined): number[] | undefined {
  return wordsOf(text)?.map((word) => {
    if (!/^\d+$/.test(word))
      throw new ArgumentError('saccade', argument, text, 'whole numbers with commas between, such as 64,128');
    return Number(word);
  });
}
