import { onnxruntime } from './peers/onnxruntime.ts';
import type { Case, Peer } from './peers/peer.ts';
import { saccade } from './peers/saccade.ts';

export const peers: readonly Peer[] = [
  saccade('wasm'),
  onnxruntime('cpu'),
  saccade('webgpu'),
  onnxruntime('webgpu'),
];

/** What is compared, smallest first. Graphics processors get chains: copies to the host are not attention. */
export const cases: readonly Case[] = [
  {
    name: 'processor',
    batch: 1,
    heads: 8,
    tokens: 1024,
    headDim: 64,
    threads: 2,
    chains: [1],
    rounds: 25,
    peers: ['saccade-wasm', 'onnxruntime-cpu'],
  },
  {
    name: 'processor, one thread',
    batch: 1,
    heads: 8,
    tokens: 1024,
    headDim: 64,
    threads: 1,
    chains: [1],
    rounds: 15,
    peers: ['saccade-wasm', 'onnxruntime-cpu'],
  },
  {
    name: 'gpu',
    batch: 1,
    heads: 16,
    tokens: 4096,
    headDim: 128,
    threads: 2,
    chains: [2, 10],
    rounds: 9,
    peers: ['saccade-webgpu', 'onnxruntime-webgpu'],
  },
];
