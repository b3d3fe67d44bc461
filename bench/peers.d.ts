// What the bench and the tests of interop use of the peers, which are installed in bench/ only: the type check must pass
// without them.
declare module 'onnxruntime-node' {
  export { env, InferenceSession, Tensor } from 'onnxruntime-web/webgpu';
  export function listSupportedBackends(): { name: string }[];
}

declare module 'onnxruntime-web/webgpu' {
  export const env: {
    versions: { node?: string; web?: string; common: string };
    wasm: { numThreads?: number };
    webgpu: { device: Promise<GPUDevice> };
  };
  export class Tensor {
    constructor(
      type: 'float32' | 'float16' | 'uint32' | 'int32',
      data: ArrayBufferView,
      dims: readonly number[],
    );
    static fromGpuBuffer(
      buffer: GPUBuffer,
      options: {
        dataType: 'float32' | 'float16' | 'uint32' | 'int32';
        dims: readonly number[];
        download?: () => Promise<never>;
        dispose?: () => void;
      },
    ): Tensor;
    readonly type: string;
    readonly dims: readonly number[];
    readonly location: string;
    readonly gpuBuffer: GPUBuffer;
    readonly data: unknown;
    getData(): Promise<unknown>;
    dispose(): void;
  }
  export class InferenceSession {
    static create(model: Uint8Array, options?: Record<string, unknown>): Promise<InferenceSession>;
    run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>;
    release(): Promise<void>;
  }
}

declare module '@tensorflow/tfjs-core' {
  export interface Tensor {
    readonly shape: number[];
    readonly dtype: 'float32' | 'int32' | 'bool';
    data(): Promise<Float32Array | Int32Array>;
    dataToGPU(): { buffer?: GPUBuffer; tensorRef: Tensor };
    dispose(): void;
    readonly isDisposed: boolean;
  }
  export function tensor(
    values: ArrayLike<number> | { buffer: GPUBuffer; zeroCopy?: boolean },
    shape: number[],
    dtype?: 'float32' | 'int32' | 'bool',
  ): Tensor;
  export function add(a: Tensor, b: Tensor | number): Tensor;
  export function mul(a: Tensor, b: Tensor | number): Tensor;
  export function matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  export function softmax(scores: Tensor): Tensor;
  export function slice(x: Tensor, begin: number[], size: number[]): Tensor;
  export function tidy<T>(work: () => T): T;
  export function registerBackend(name: string, factory: () => Promise<object>, priority?: number): boolean;
  export function removeBackend(name: string): void;
  export function setBackend(name: string): Promise<boolean>;
  export function ready(): Promise<void>;
  export function env(): { set(flag: string, value: boolean | number): void };
  export const version_core: string;
}

declare module '@tensorflow/tfjs-backend-webgpu' {
  export class WebGPUBackend {
    constructor(device: GPUDevice, adapterInfo?: GPUAdapterInfo);
  }
}

declare module '@tensorflow/tfjs-backend-wasm' {
  export function setWasmPaths(folder: string): void;
  export function setThreadsCount(threads: number): void;
  export function getThreadsCount(): number;
}
