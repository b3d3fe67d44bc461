/** What a thread needs once. */
export interface Start {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
}

/** One call: where its description and this thread's scratch lie, and its compiled expression. */
export interface Job {
  params: number;
  scratch: number;
  expression: { id: number; module: WebAssembly.Module } | undefined;
}

type Attend = (params: number, scratch: number, most: number) => number;
export interface KernelExports {
  attend: Attend;
  scratchBytes(headDim: number, valueDim: number): number;
}

const kept = 32;

/** Instances of the kernel on one thread, one for each expression, the latest kept. */
export function runner({ module, memory }: Start): (job: Job) => Promise<Attend> {
  const instances = new Map<number, Attend>();
  return async ({ expression }) => {
    const id = expression?.id ?? 0;
    const known = instances.get(id);
    if (known) return known;
    const { attend } = await instantiate(module, memory, expression?.module);
    if (instances.size >= kept) {
      const oldest = instances.keys().next().value;
      if (oldest !== undefined) instances.delete(oldest);
    }
    instances.set(id, attend);
    return attend;
  };
}

/** The kernel on a memory, calling the expression's module directly. */
export async function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  expression?: WebAssembly.Module,
): Promise<KernelExports> {
  const { log } = Math;
  let modify: WebAssembly.ImportValue = () => {};
  if (expression) {
    const instance = await WebAssembly.instantiate(expression, { env: { memory, log } });
    modify = instance.exports.modify as WebAssembly.ImportValue;
  }
  const instance = await WebAssembly.instantiate(module, { env: { memory, log, modify } });
  return instance.exports as unknown as KernelExports;
}
