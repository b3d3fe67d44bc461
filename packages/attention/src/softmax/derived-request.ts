import { differentiate, type TableDerivative } from '../mods/derivative.ts';
import type { Traced } from '../mods/expression.ts';
import type { BackwardRequest } from './request.ts';

/** A call of attendBackward() with the score expression differentiated: what kernels of gradients compute from. */
export interface DerivedRequest extends BackwardRequest {
  /** ∂score expression/∂score; undefined: 1 everywhere. */
  slope: Traced | undefined;
  /** Where the score expression reads the tables whose gradients are wanted. */
  tableReads: readonly TableDerivative[];
}

/** Done by each device, not by the check of the call: pages that never train do not load it. */
export function withDerivatives(request: BackwardRequest): DerivedRequest {
  const derivatives = request.score && differentiate(request.score);
  return {
    ...request,
    slope: derivatives?.slope,
    tableReads: derivatives?.reads.filter(({ table }) => request.tables.includes(table)) ?? [],
  };
}
