import { cacheKernelsOnHost } from '../cache/host.ts';
import { DeviceError } from '../errors.ts';
import { roundToHalf } from '../interop/half.ts';
import { selectionOnReference } from '../select/reference.ts';
import { attendBackwardReference } from '../softmax/backward-reference.ts';
import { withDerivatives } from '../softmax/derived-request.ts';
import { keyMajorReference } from '../softmax/key-major-reference.ts';
import { mergeReference } from '../softmax/merge-reference.ts';
import { attendReference } from '../softmax/reference.ts';
import { blockSumsShape } from '../softmax/request.ts';
import { checkShape, type DType, type NumberArray, type Shape, sizeOf, type Tensor } from '../tensor.ts';
import type { Device, Kernels } from './device.ts';

class HostTensor implements Tensor {
  readonly device: ReferenceDevice;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly storage: NumberArray;
  disposed = false;

  constructor(device: ReferenceDevice, storage: NumberArray, shape: Shape, dtype: DType) {
    this.device = device;
    this.storage = storage;
    this.shape = shape;
    this.dtype = dtype;
    device.allocated(storage.byteLength);
  }

  async read(): Promise<NumberArray> {
    if (this.disposed)
      throw new DeviceError('the tensor is disposed', { needs: 'a live tensor', has: 'a disposed one' });
    return this.storage.slice();
  }

  dispose(): void {
    if (!this.disposed) this.device.allocated(-this.storage.byteLength);
    this.disposed = true;
  }
}

/** Plain float64 loops on the host: slow, and right. Tensors asked for as f32 or f16 hold values rounded to that precision. */
export class ReferenceDevice implements Device {
  readonly kind = 'reference';
  readonly tier = 'reference';
  readonly description = 'float64 loops in JavaScript';
  readonly capabilities = {};
  readonly memory = { currentBytes: 0, peakBytes: 0 };
  readonly lost = new Promise<string>(() => {});
  readonly kernels: Kernels;
  readonly debug: boolean;

  constructor(debug = false) {
    this.debug = debug;
    const f64 = (data: Float64Array, shape: Shape) => new HostTensor(this, data, shape, 'f64');
    const attention = (shape: Shape, result: { output: Float64Array; logSumExp: Float64Array }) => ({
      output: f64(result.output, shape),
      logSumExp: f64(result.logSumExp, shape.slice(0, 3)),
    });
    this.kernels = {
      attend: async (request) =>
        attention(
          [request.batch, request.heads, request.queryTokens, request.valueDim],
          await (request.order === 'key-major' ? keyMajorReference : attendReference)(request),
        ),
      attendBackward: async (request) => {
        const { query, key, value, tables, blockSums } = await attendBackwardReference(
          withDerivatives(request),
        );
        return {
          query: f64(query, request.query.shape),
          key: f64(key, request.key.shape),
          value: f64(value, request.value.shape),
          tables: tables.map((data, i) => f64(data, request.tables[i].shape)),
          blockSums: blockSums && f64(blockSums, blockSumsShape(request)),
        };
      },
      merge: async ({ parts }) => attention(parts[0].output.shape, await mergeReference(parts)),
      ...selectionOnReference(
        (data, shape, dtype = data instanceof Uint32Array ? 'u32' : 'f64') =>
          new HostTensor(this, data, shape, dtype),
      ),
      cache: cacheKernelsOnHost({
        empty: (shape, dtype) => {
          const size = sizeOf(shape);
          const storage = dtype === 'u32' ? new Uint32Array(size) : new Float64Array(size);
          return new HostTensor(this, storage, shape, dtype);
        },
        stored: (tensor) => (tensor as HostTensor).storage,
        numbers: (tensor, first = 0, count = sizeOf(tensor.shape)) =>
          (tensor as HostTensor).storage.subarray(first, first + count),
        settled: async () => {},
      }),
    };
  }

  tensor(
    data: ArrayLike<number>,
    shape: Shape,
    dtype: DType = data instanceof Uint32Array ? 'u32' : 'f64',
  ): Tensor {
    checkShape('tensor', shape, data.length);
    const storage =
      dtype === 'u32'
        ? Uint32Array.from(data)
        : dtype === 'f16'
          ? Float64Array.from(data, roundToHalf)
          : dtype === 'f32'
            ? Float64Array.from(data, Math.fround)
            : Float64Array.from(data);
    return new HostTensor(this, storage, shape, dtype);
  }

  allocated(bytes: number): void {
    this.memory.currentBytes += bytes;
    this.memory.peakBytes = Math.max(this.memory.peakBytes, this.memory.currentBytes);
  }

  resetPeak(): void {
    this.memory.peakBytes = this.memory.currentBytes;
  }

  async finish(): Promise<void> {}
  async close(): Promise<void> {}
}
