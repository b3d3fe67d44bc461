/** What a kernel reads and writes, declared once: the WGSL declarations and the types of a launch both come from it. */
export type Scalar = 'f32' | 'u32' | 'i32';

export interface StorageBinding {
  readonly kind: 'storage';
  readonly access: 'read' | 'read_write';
  /** Element type of the runtime-sized array: 'f32', 'vec4<f32>', 'vec2<u32>' … */
  readonly element: string;
}

export interface UniformBinding {
  readonly kind: 'uniform';
  readonly fields: Readonly<Record<string, Scalar>>;
}

export type Bindings = Readonly<Record<string, StorageBinding | UniformBinding>>;

export function read(element: string): StorageBinding {
  return { kind: 'storage', access: 'read', element };
}

export function write(element: string): StorageBinding {
  return { kind: 'storage', access: 'read_write', element };
}

export function uniform<F extends Record<string, Scalar>>(
  fields: F,
): { readonly kind: 'uniform'; readonly fields: F } {
  return { kind: 'uniform', fields };
}

/** What a launch must be given: a buffer per storage binding, a number per uniform field. */
export type Arguments<B extends Bindings> = {
  [K in keyof B]: B[K] extends { kind: 'uniform'; fields: infer F }
    ? Record<keyof F & string, number>
    : GPUBuffer;
};

/** The fields that assemble() adds to every kernel's uniform, for grids beyond the limit of a dimension. */
export const gridFields = { firstGroup: 'u32', endGroup: 'u32' } as const;

/** WGSL of the declarations, in group 0; binding numbers follow the order of the record. */
export function declare(bindings: Bindings): string {
  const names = Object.keys(bindings);
  return names
    .map((name, index) => {
      const binding = bindings[name];
      const place = `@group(0) @binding(${index})`;
      if (binding.kind === 'storage')
        return `${place} var<storage, ${binding.access}> ${name}: array<${binding.element}>;`;
      const fields = Object.entries(binding.fields).map(([field, type]) => `  ${field}: ${type},`);
      return `struct ${typeName(name)} {\n${fields.join('\n')}\n}\n${place} var<uniform> ${name}: ${typeName(name)};`;
    })
    .join('\n');
}

const entriesOf = new WeakMap<UniformBinding, [string, Scalar][]>();

/** Bytes of a uniform with the given numbers, every field four bytes, padded to 16. */
export function packUniform(binding: UniformBinding, values: Readonly<Record<string, number>>): ArrayBuffer {
  const entries = entriesOf.get(binding) ?? Object.entries(binding.fields);
  entriesOf.set(binding, entries);
  const buffer = new ArrayBuffer(Math.ceil(entries.length / 4) * 16);
  const view = new DataView(buffer);
  entries.forEach(([field, type], index) => {
    if (type === 'f32') view.setFloat32(index * 4, values[field], true);
    else if (type === 'i32') view.setInt32(index * 4, values[field], true);
    else view.setUint32(index * 4, values[field], true);
  });
  return buffer;
}

function typeName(name: string): string {
  return name[0].toUpperCase() + name.slice(1);
}
