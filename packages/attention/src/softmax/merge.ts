import { ArgumentError } from '../errors.ts';
import { requireLive, sameShape } from '../tensor.ts';
import type { AttendResult } from './request.ts';

/**
 * Joins attention over disjoint key sets: L = log Σ exp(lᵢ), output = Σ exp(lᵢ − L) outputᵢ.
 * The result equals one softmax over the union. Parts that saw no key (-Infinity) add nothing.
 *
 * @param parts outputs [batch, heads, tokens, valueDim] with logSumExp [batch, heads, tokens], made without an epilogue
 * @throws ArgumentError if there are no parts, one is disposed of, or shapes or devices differ
 */
export async function mergeAttention(
  parts: readonly AttendResult[],
  options: { signal?: AbortSignal } = {},
): Promise<AttendResult> {
  if (parts.length === 0)
    throw new ArgumentError('mergeAttention', 'parts', 'empty', 'at least one result of attend()');
  const [first] = parts;
  parts.forEach((part, i) => {
    for (const name of ['output', 'logSumExp'] as const)
      requireLive('mergeAttention', `parts[${i}].${name}`, part[name], first.output.device);
    if (
      !sameShape(part.output.shape, first.output.shape) ||
      !sameShape(part.logSumExp.shape, first.output.shape.slice(0, 3))
    ) {
      throw new ArgumentError(
        'mergeAttention',
        `parts[${i}]`,
        `of shape [${part.output.shape.join(', ')}]`,
        `[${first.output.shape.join(', ')}], as parts[0]`,
      );
    }
  });
  return first.output.device.kernels.merge({ parts, signal: options.signal });
}
