/** Of one size. A submission may use all of them: more kernels than that are not queued together. */
const MOST_OF_A_SIZE = 128;

const UNIFORM = 0x0040;
const COPY_DST = 0x0008;

/**
 * Uniform buffers by content: calls of the same shape read the same one, so that nothing is written before a launch and its bind
 * group stays. Where contents are new, the buffer that was used longest ago is written again: the queue does that after the
 * work that reads what it held.
 */
export class Uniforms {
  private readonly sizes = new Map<number, Map<string, GPUBuffer>>();
  private readonly device: GPUDevice;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** A buffer that holds these bytes for the next submission; their number is a multiple of 4. */
  of(content: ArrayBuffer): GPUBuffer {
    const size = content.byteLength;
    const all = this.sizes.get(size) ?? new Map<string, GPUBuffer>();
    this.sizes.set(size, all);
    const key = String.fromCharCode(...new Uint16Array(content));
    let buffer = all.get(key);
    if (buffer) all.delete(key);
    else {
      // a map walks its keys in the order in which they came: the first is the one that was used longest ago
      const [oldest] = all;
      if (all.size >= MOST_OF_A_SIZE) {
        buffer = oldest[1];
        all.delete(oldest[0]);
      } else buffer = this.device.createBuffer({ size, usage: UNIFORM | COPY_DST });
      this.device.queue.writeBuffer(buffer, 0, content);
    }
    all.set(key, buffer);
    return buffer;
  }

  clear(): void {
    for (const all of this.sizes.values()) for (const buffer of all.values()) buffer.destroy();
    this.sizes.clear();
  }
}
