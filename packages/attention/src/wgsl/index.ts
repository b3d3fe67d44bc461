// The front door for kernels of one's own, @saccade/attention/custom.
export {
  assemble,
  emptyLike,
  type KernelValues,
  largestBuffer,
  offers,
  runKernel,
} from '../device/custom.ts';
export { type Kernel, wgsl } from './assemble.ts';
export { read, uniform, write } from './bindings.ts';
