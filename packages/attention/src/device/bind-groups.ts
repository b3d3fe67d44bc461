/** More would keep buffers alive that nobody holds any more. */
const MOST_GROUPS = 64;

/**
 * Bind groups by pipeline and buffers. Making one takes the processor about as long as a submission, and calls that follow each
 * other bind the same ones: released buffers are taken again in the same order.
 */
export class BindGroups {
  private readonly groups = new Map<string, GPUBindGroup>();
  private readonly names = new WeakMap<object, number>();
  private named = 0;
  private readonly device: GPUDevice;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /**
   * Lets groups with this buffer be kept. Not for buffers of others: a kept group would hold their memory after their owners
   * dropped them.
   */
  own(buffer: GPUBuffer): void {
    this.nameOf(buffer);
  }

  of(pipeline: GPUComputePipeline, buffers: readonly GPUBuffer[]): GPUBindGroup {
    if (!buffers.every((buffer) => this.names.has(buffer))) return this.make(pipeline, buffers);
    const key = [pipeline, ...buffers].map((part) => this.nameOf(part)).join();
    let group = this.groups.get(key);
    // a map walks its keys in the order in which they came: the first is the one that was used longest ago
    if (group) this.groups.delete(key);
    else {
      group = this.make(pipeline, buffers);
      const [oldest] = this.groups.keys();
      if (this.groups.size >= MOST_GROUPS) this.groups.delete(oldest);
    }
    this.groups.set(key, group);
    return group;
  }

  private make(pipeline: GPUComputePipeline, buffers: readonly GPUBuffer[]): GPUBindGroup {
    return this.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
  }

  private nameOf(thing: object): number {
    let name = this.names.get(thing);
    if (name === undefined) {
      name = this.named++;
      this.names.set(thing, name);
    }
    return name;
  }
}
