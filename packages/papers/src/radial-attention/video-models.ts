import { type BlockMaskOptions, blockMask } from './block-mask.ts';

/** A video model and how the authors' scripts run it. */
export interface VideoModel {
  name: string;
  frames: number; // of the latent video
  perFrame: number; // tokens of a latent frame
  decay: number;
  sink: boolean;
  blockSize: number;
  /** Steps of diffusion: how many, and how many of them run dense attention at the start. */
  steps: number;
  denseSteps: number;
  /** Layers, and how many of them always run dense. */
  layers: number;
  denseLayers: number;
  /** Channels between layers. */
  width: number;
}

/** Frames of the latent video that the model makes of a clip of 4 m + 1 frames. */
export function latentFrames(clipFrames: number): number {
  return 1 + Math.floor(clipFrames / 4);
}

/** Tokens of one latent frame: the model reduces each side by 16. */
export function tokensPerFrame(height: number, width: number): number {
  return Math.floor(height / 16) * Math.floor(width / 16);
}

export const hunyuan: VideoModel = {
  name: 'HunyuanVideo, 117 frames of 768 x 1280',
  frames: latentFrames(117),
  perFrame: tokensPerFrame(768, 1280),
  decay: 0.95,
  sink: false,
  blockSize: 128,
  steps: 50,
  denseSteps: 12,
  layers: 60,
  denseLayers: 0,
  width: 3072,
};

export const wan: VideoModel = {
  name: 'Wan 2.1 14B, 69 frames of 768 x 1280',
  frames: latentFrames(69),
  perFrame: tokensPerFrame(768, 1280),
  decay: 0.2,
  sink: true,
  blockSize: 128,
  steps: 50,
  denseSteps: 12,
  layers: 40,
  denseLayers: 1,
  width: 5120,
};

/**
 * How many times fewer operations the whole model needs with the mask, dense steps and layers included (Amdahl):
 * a layer of width w costs 24 w² a token in its matrices (four of attention, an MLP of 4 w) and 4 n w in attention.
 * An upper bound of the speed-up while both run at the same operations a second.
 */
export function modelTimesFewerOperations(model: VideoModel): number {
  const tokens = model.frames * model.perFrame;
  const attention = tokens / (tokens + 6 * model.width);
  const masked = 1 - attention * blockMask(maskOf(model)).sparsity;
  const sparse = (1 - model.denseSteps / model.steps) * (1 - model.denseLayers / model.layers);
  return 1 / (1 - sparse + sparse * masked);
}

export function maskOf({ frames, perFrame, decay, sink, blockSize }: VideoModel): BlockMaskOptions {
  return { frames, perFrame, decay, sink, blockSize };
}
