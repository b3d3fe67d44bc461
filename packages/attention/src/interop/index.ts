export { offerNavigatorGpu } from '../device/adapter.ts';
export { type BufferOptions, bufferOf, fromBuffer, gpuDeviceOf } from './buffers.ts';
export { fromJax, type JaxArray, type JaxNumpy, toJax } from './jax.ts';
export {
  type AttentionInputs,
  type AttentionLayer,
  type AttentionModel,
  type Jax,
  valueAndGradThroughAttention,
} from './jax-gradients.ts';
export { fromOnnx, type OnnxTensor, type OnnxTensorClass, toOnnx } from './onnx.ts';
export {
  fromTensorFlow,
  type MakeTensorFlowTensor,
  type TensorFlowTensor,
  toTensorFlow,
} from './tensorflow.ts';
