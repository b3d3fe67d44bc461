import { type IntExpression, type Node, type Positions, positions, type Traced } from './expression.ts';

/** What stands in for inputs of an expression. */
export type Moved = Partial<Record<'query' | 'querySlot' | 'keySlot', IntExpression>>;

/**
 * An expression as it reads from other positions: its inputs replaced by what `move` makes of those of the new pair.
 * @param wrap what the whole becomes; default: itself
 */
export function rewrite(
  traced: Traced,
  move: (at: Positions) => Moved,
  wrap = (_at: Positions, node: Node): Node => node,
): Traced {
  const tables = [...traced.tables];
  const at = positions(tables);
  const moved = move(at);
  const node = replaced(traced.node, (name) => moved[name as keyof Moved]?.node);
  return { node: wrap(at, node), tables };
}

function replaced(node: Node, of: (input: string) => Node | undefined): Node {
  switch (node.kind) {
    case 'input':
      return of(node.name) ?? node;
    case 'constant':
      return node;
    case 'unary':
      return { ...node, a: replaced(node.a, of) };
    case 'binary':
      return { ...node, a: replaced(node.a, of), b: replaced(node.b, of) };
    case 'select':
      return {
        ...node,
        condition: replaced(node.condition, of),
        a: replaced(node.a, of),
        b: replaced(node.b, of),
      };
    case 'read':
      return { ...node, index: replaced(node.index, of) };
  }
}
