import type { Node } from '../../mods/expression.ts';
import type { AttendRequest } from '../request.ts';

/**
 * The mask without its causal part, which the kernel does by itself (and stops early at): attend() joins both with
 * `and`, so a term key <= query + offset can be taken out.
 */
export function separateCausal({
  mask,
  causalOffset,
}: AttendRequest): Pick<AttendRequest, 'mask' | 'causalOffset'> {
  if (!mask || causalOffset === undefined) return { mask, causalOffset: undefined };
  const without = remove(mask.node, causalOffset);
  if (without === mask.node) return { mask, causalOffset: undefined };
  return { mask: without && { node: without, tables: mask.tables }, causalOffset };
}

function remove(node: Node, offset: number): Node | undefined {
  if (isCausal(node, offset)) return undefined;
  if (node.kind !== 'binary' || node.operation !== 'and') return node;
  const a = remove(node.a, offset);
  const b = remove(node.b, offset);
  if (!a) return b;
  if (!b) return a;
  return a === node.a && b === node.b ? node : { ...node, a, b };
}

function isCausal(node: Node, offset: number): boolean {
  if (node.kind !== 'binary' || node.operation !== 'le' || node.b.kind !== 'binary') return false;
  const { a, b } = node;
  return (
    a.kind === 'input' &&
    a.name === 'key' &&
    b.operation === 'add' &&
    b.a.kind === 'input' &&
    b.a.name === 'query' &&
    b.b.kind === 'constant' &&
    b.b.value === offset
  );
}
