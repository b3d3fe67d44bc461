/** What a thread needs once. */
export interface Start {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
}

/** The kernel's entries: what is computed. */
export type Entry = 'attend' | 'attendBackward';

/** Mask and score, and for gradients what is derived from the score, each a module with `modify`. */
export interface Expression {
  id: number;
  module: WebAssembly.Module;
  derived: readonly WebAssembly.Module[];
}

/** One call: where its description and this thread's scratch lie, and its compiled expression. */
export interface Job {
  entry: Entry;
  params: number;
  scratch: number;
  expression: Expression | undefined;
}

type Run = (params: number, scratch: number, most: number) => number;
export interface KernelExports extends Record<Entry, Run> {
  scratchBytes(headDim: number, valueDim: number): number;
  backwardScratchBytes(headDim: number, valueDim: number): number;
}

const kept = 32;

/** Instances of the kernel on one thread, one for each expression, the latest kept. */
export function runner({ module, memory }: Start): (job: Job) => Promise<Run> {
  const instances = new Map<number, KernelExports>();
  return async ({ entry, expression }) => {
    const id = expression?.id ?? 0;
    const known = instances.get(id);
    if (known) return known[entry];
    const kernel = await instantiate(module, memory, expression);
    if (instances.size >= kept) {
      const oldest = instances.keys().next().value;
      if (oldest !== undefined) instances.delete(oldest);
    }
    instances.set(id, kernel);
    return kernel[entry];
  };
}

type Modify = (...call: number[]) => void;

/** The kernel on a memory, calling the expression's module directly, and derived ones by their number. */
export async function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  expression?: Expression,
): Promise<KernelExports> {
  const { log } = Math;
  const [modify = () => {}, ...derived] = await Promise.all(
    (expression ? [expression.module, ...expression.derived] : []).map(async (each) => {
      const instance = await WebAssembly.instantiate(each, { env: { memory, log } });
      return instance.exports.modify as Modify;
    }),
  );
  const derive: Modify = (which, ...call) => derived[which](...call);
  const instance = await WebAssembly.instantiate(module, { env: { memory, log, modify, derive } });
  return instance.exports as unknown as KernelExports;
}
