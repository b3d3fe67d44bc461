import type { Claim } from '../kit/claim.ts';

export const claims: readonly Claim[] = [];
