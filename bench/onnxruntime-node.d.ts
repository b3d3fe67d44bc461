// What the bench uses of onnxruntime-node, which is installed in bench/ only: the type check must pass without it.
declare module 'onnxruntime-node' {
  export function listSupportedBackends(): { name: string }[];
  export const env: { versions: { node?: string; common: string } };
  export class Tensor {
    constructor(type: 'float32', data: Float32Array, dims: readonly number[]);
    readonly data: unknown;
  }
  export class InferenceSession {
    static create(model: Uint8Array, options?: Record<string, unknown>): Promise<InferenceSession>;
    run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>;
    release(): Promise<void>;
  }
}
