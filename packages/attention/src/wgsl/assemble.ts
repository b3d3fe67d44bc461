import { DeviceError } from '../errors.ts';
import { type Bindings, declare, gridFields, type UniformBinding } from './bindings.ts';

/** A kernel's text with what a launch needs to know about it. Its code is the key of the pipeline cache. */
export interface Kernel<B extends Bindings = Bindings> {
  readonly name: string;
  readonly code: string;
  readonly bindings: B;
  readonly threads: number;
  readonly memoryBytes: number;
}

/** An array in workgroup memory; `length` in elements of `type`. */
export interface WorkgroupArray {
  readonly type: 'f32' | 'u32' | 'i32' | 'vec2<u32>' | 'vec4<f32>' | 'vec4<u32>' | 'atomic<u32>';
  readonly length: number;
}

export interface KernelSource<B extends Bindings> {
  name: string;
  /** WGSL extensions, each of a feature that the device has: `subgroups`, `f16` … */
  enables?: readonly string[];
  /** Warnings and errors of the compiler to turn off, where the kernel knows better. */
  diagnostics?: readonly string[];
  /** Built-in u32 values that `main` sees besides `lane` and `workgroup`, by the name that it gives them. */
  builtins?: Readonly<Record<string, string>>;
  /** Must hold a uniform `shape`; the grid's fields are added to it. */
  bindings: B;
  constants: Readonly<Record<string, number>>;
  memory?: Readonly<Record<string, WorkgroupArray>>;
  /** Per-thread variables: WGSL declarations. */
  registers?: string;
  stages: readonly string[];
  threads: number;
  /** Body of the entry; sees `workgroup` (flat index of the workgroup) and `lane` (index of the thread in it), both u32. */
  main: string;
  /** Bytes of workgroup memory that the device allows. */
  memoryLimit: number;
}

/** Marks WGSL for editors; joins its holes as they are. */
export const wgsl = String.raw;

/**
 * Joins a kernel's parts to one WGSL module: bindings, constants, memory, stages, entry. Grids beyond 65,535 workgroups
 * fold into the second dimension here and nowhere else.
 * @throws DeviceError if the workgroup arrays need more memory than the device has
 */
export function assemble<B extends Bindings>(source: KernelSource<B>): Kernel<B> {
  const memory = Object.entries(source.memory ?? {});
  const memoryBytes = memory.reduce((sum, [, array]) => sum + arrayBytes(array), 0);
  if (memoryBytes > source.memoryLimit) {
    throw new DeviceError(`the kernel ${source.name} does not fit`, {
      needs: `${memoryBytes} bytes of workgroup memory`,
      has: `${source.memoryLimit}`,
    });
  }
  const shape = source.bindings.shape as UniformBinding;
  const bindings = {
    ...source.bindings,
    shape: { ...shape, fields: { ...shape.fields, ...gridFields } },
  } as B;
  const constants = Object.entries(source.constants).map(([name, value]) => `const ${name} = ${value}u;`);
  const arrays = memory.map(
    ([name, { type, length }]) => `var<workgroup> ${name}: array<${type}, ${length}>;`,
  );
  const builtins = Object.entries(source.builtins ?? {}).map(
    ([name, builtin]) => `  @builtin(${builtin}) ${name}: u32,\n`,
  );
  const code = [
    `// ${source.name}: ${memoryBytes} bytes of workgroup memory, ${source.threads} threads`,
    (source.enables ?? []).map((extension) => `enable ${extension};`).join('\n'),
    (source.diagnostics ?? []).map((rule) => `diagnostic(off, ${rule});`).join('\n'),
    declare(bindings),
    constants.join('\n'),
    arrays.join('\n'),
    source.registers?.trim() ?? '',
    ...source.stages.map((stage) => stage.trim()),
    `@compute @workgroup_size(${source.threads})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
${builtins.join('')}) {
  let workgroup = shape.firstGroup + group.x + group.y * groups.x;
  if (workgroup >= shape.endGroup) { return; }
${source.main.replace(/^\n+|\s+$/g, '')}
}
`,
  ]
    .filter((part) => part !== '')
    .join('\n\n');
  return { name: source.name, code, bindings, threads: source.threads, memoryBytes };
}

/** Bytes of a workgroup array. */
export function arrayBytes({ type, length }: WorkgroupArray): number {
  return 4 * Number(/^vec(\d)/.exec(type)?.[1] ?? 1) * length;
}
