import type { ComponentType } from 'react';

/** The live page of each paper that has one, loaded when it is opened. Mount it in the browser only. */
export const labs: Readonly<Record<string, () => Promise<{ Lab: ComponentType }>>> = {
  fna: () => import('./fna/lab.tsx'),
  gna: () => import('./gna/lab.tsx'),
  halonet: () => import('./halonet/lab.tsx'),
  biformer: () => import('./biformer/lab.tsx'),
  'power-attention': () => import('./power-attention/lab.tsx'),
  'radial-attention': () => import('./radial-attention/lab.tsx'),
};
