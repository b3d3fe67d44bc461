import {
  ArgumentError,
  type Device,
  firstNonFinite,
  type NamedTensor,
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '@saccade/attention';
import type { Inputs } from '@saccade/papers/kit';
import { chooseDevice, chooseOptions, chooseRunnable, type DeviceOptions } from '../choose.ts';
import { type Context, onDevice, printJson } from '../console.ts';
import { checkWritable, readInput, writeAtomically } from '../files.ts';

export interface AttendOptions extends DeviceOptions {
  qkv: string;
  out: string;
  options?: string;
}

const names = ['q', 'k', 'v'] as const;
type Named = Record<(typeof names)[number], NamedTensor>;

/** `saccade attend`: a mechanism on the caller's own tensors, from file to file. */
export async function attendFile(context: Context, slug: string, options: AttendOptions): Promise<void> {
  const paper = chooseRunnable(slug);
  const parsed = chooseOptions(paper, options.options);
  await checkWritable('--out', options.out);
  const tensors = checkTensors(readSafetensors(await readInput('--qkv', options.qkv)), options.qkv);
  const device = await chooseDevice(options);
  await onDevice(device, context.signal, async () => {
    const inputs = upload(device, tensors);
    const mechanism = await paper.mechanism();
    device.resetPeak();
    const before = device.memory.currentBytes;
    const start = performance.now();
    const { output, logSumExp } = await mechanism(inputs, parsed, { signal: context.signal });
    await device.finish();
    const timeMs = performance.now() - start;
    const memoryBytes = device.memory.peakBytes - before;
    const dtype = output.dtype === 'f64' && tensors.q.dtype === 'F64' ? 'F64' : 'F32';
    const result = writeSafetensors(
      new Map([
        ['out', { dtype, shape: output.shape, data: await output.read() }],
        ['logSumExp', { dtype, shape: logSumExp.shape, data: await logSumExp.read() }],
      ]),
      { slug, options: JSON.stringify(parsed), device: device.kind, tier: device.tier },
    );
    context.signal.throwIfAborted();
    await writeAtomically('--out', options.out, result);
    const shapes = { query: tensors.q.shape, key: tensors.k.shape, out: output.shape };
    const told = {
      slug,
      options: parsed,
      device: device.kind,
      tier: device.tier,
      adapter: device.description,
      shapes,
      timeMs,
      memoryBytes,
      out: options.out,
    };
    if (context.json) printJson(context, told);
    else
      context.console.out(
        `${slug}: out [${output.shape.join(', ')}] and logSumExp [${logSumExp.shape.join(', ')}] in ${options.out}\n` +
          `${timeMs.toFixed(1)} ms the first time, compiling included, on ${device.description} (${device.kind}, tier ${device.tier})\n`,
      );
  });
}

/** The three tensors of a file, with ranks, types and numbers that a mechanism can use. */
function checkTensors(file: ReadonlyMap<string, NamedTensor>, path: string): Named {
  const fail = (what: string, allowed: string) =>
    new ArgumentError('saccade', '--qkv', `${path}, ${what}`, allowed);
  for (const name of names) {
    const tensor = file.get(name);
    if (!tensor) {
      const present = file.size === 0 ? 'no tensors' : `only ${[...file.keys()].slice(0, 8).join(', ')}`;
      throw fail(`which has ${present}`, 'tensors named q, k and v');
    }
    const shape = `${name} of shape [${tensor.shape.join(', ')}]`;
    if (tensor.shape.length !== 4) throw fail(`with ${shape}`, '[batch, heads, tokens, headDim]');
    if (tensor.shape.includes(0)) throw fail(`with ${shape}`, 'lengths of at least 1');
    const { dtype } = file.get('q')!;
    if (tensor.dtype !== dtype) throw fail(`with ${name} of type ${tensor.dtype}`, `${dtype}, as q`);
    const bad = firstNonFinite(tensor.data);
    if (bad)
      throw fail(`with ${bad.value} in ${name} at [${place(bad.index, tensor.shape)}]`, 'finite numbers');
  }
  return { q: file.get('q')!, k: file.get('k')!, v: file.get('v')! };
}

/** Position along each axis of a row-major element. */
function place(index: number, shape: readonly number[]): string {
  const at: number[] = [];
  for (let axis = shape.length - 1, rest = index; axis >= 0; axis--) {
    at.unshift(rest % shape[axis]);
    rest = Math.floor(rest / shape[axis]);
  }
  return at.join(', ');
}

function upload(device: Device, { q, k, v }: Named): Inputs {
  if (q.dtype === 'F64' && device.kind !== 'reference')
    throw new ArgumentError(
      'saccade',
      '--qkv',
      `of type F64 for the device ${device.kind}`,
      'F32 or F16; F64 for --device reference',
    );
  const tensor = ({ data, shape, dtype }: NamedTensor): Tensor =>
    device.tensor(data, shape, dtype === 'F16' ? 'f16' : dtype === 'F64' ? 'f64' : 'f32');
  return { query: tensor(q), key: tensor(k), value: tensor(v) };
}
