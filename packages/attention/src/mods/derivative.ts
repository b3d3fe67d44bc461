import type { Node, Table, Traced } from './expression.ts';

/** What a score expression passes back to one place where it reads a table: ∂expression/∂table[index]. */
export interface TableDerivative {
  readonly table: Table;
  /** i32, as flattened when it was traced; beyond the table's ends it means the nearest end. */
  readonly index: Node;
  readonly partial: Node;
}

/** The derivatives of a traced score expression, themselves expressions over the same tables. */
export interface Derivatives {
  /** ∂expression/∂score, f32; undefined: 1 everywhere. */
  readonly slope: Traced | undefined;
  /** One entry for each read of a float table that the expression depends on. */
  readonly reads: readonly TableDerivative[];
}

/**
 * Differentiates a score expression by its tree, from the root down (reverse mode). Integers and comparisons pass
 * nothing on; `floor` neither. Where a derivative jumps: abs has 0 at 0; min and max follow their first argument on ties.
 */
export function differentiate(traced: Traced): Derivatives {
  const adjoints = new Map<Node, Node>([[traced.node, constant(1)]]);
  const give = (node: Node, part: Node) => {
    if (node.type !== 'f32') return;
    const known = adjoints.get(node);
    adjoints.set(node, known ? sum(known, part) : part);
  };
  const slopes: Node[] = [];
  const reads: TableDerivative[] = [];
  for (const node of fromRoot(traced.node)) {
    const adjoint = adjoints.get(node);
    if (!adjoint) continue;
    switch (node.kind) {
      case 'input':
        slopes.push(adjoint);
        break;
      case 'read':
        reads.push({ table: traced.tables[node.table], index: node.index, partial: adjoint });
        break;
      case 'unary':
        passUnary(node, adjoint, give);
        break;
      case 'binary':
        passBinary(node, adjoint, give);
        break;
      case 'select':
        give(node.a, choose(node.condition, adjoint, constant(0)));
        give(node.b, choose(node.condition, constant(0), adjoint));
        break;
    }
  }
  const slope = slopes.length === 0 ? constant(0) : slopes.reduce(sum);
  return {
    slope: isConstant(slope, 1) ? undefined : { node: slope, tables: traced.tables },
    reads,
  };
}

/** Whether an expression is anything but the constant 1. */
export function differsFromOne(node: Node): boolean {
  return !isConstant(node, 1);
}

function passUnary(
  node: Extract<Node, { kind: 'unary' }>,
  adjoint: Node,
  give: (node: Node, part: Node) => void,
): void {
  const { a } = node;
  switch (node.operation) {
    case 'neg':
      give(a, negative(adjoint));
      break;
    case 'abs': {
      const below = compare('lt', a, constant(0));
      const above = compare('gt', a, constant(0));
      give(a, choose(above, adjoint, choose(below, negative(adjoint), constant(0))));
      break;
    }
    case 'exp':
      give(a, product(adjoint, node));
      break;
    case 'log':
      give(a, quotient(adjoint, a));
      break;
    case 'sqrt':
      give(a, quotient(product(constant(0.5), adjoint), node));
      break;
    case 'tanh':
      give(a, product(adjoint, binary('sub', constant(1), product(node, node))));
      break;
    // constant almost everywhere, or not of floats
    case 'floor':
    case 'toFloat':
    case 'toInt':
    case 'not':
  }
}

function passBinary(
  node: Extract<Node, { kind: 'binary' }>,
  adjoint: Node,
  give: (node: Node, part: Node) => void,
): void {
  const { a, b } = node;
  switch (node.operation) {
    case 'add':
      give(a, adjoint);
      give(b, adjoint);
      break;
    case 'sub':
      give(a, adjoint);
      give(b, negative(adjoint));
      break;
    case 'mul':
      give(a, product(adjoint, b));
      give(b, product(adjoint, a));
      break;
    case 'div':
      give(a, quotient(adjoint, b));
      give(b, negative(quotient(product(adjoint, node), b)));
      break;
    case 'min':
    case 'max': {
      const first = compare(node.operation === 'min' ? 'le' : 'ge', a, b);
      give(a, choose(first, adjoint, constant(0)));
      give(b, choose(first, constant(0), adjoint));
    }
  }
}

/** Every node once, none before one that uses it. */
function fromRoot(root: Node): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const visit = (node: Node) => {
    if (seen.has(node)) return;
    seen.add(node);
    switch (node.kind) {
      case 'unary':
        visit(node.a);
        break;
      case 'binary':
        visit(node.a);
        visit(node.b);
        break;
      case 'select':
        visit(node.condition);
        visit(node.a);
        visit(node.b);
        break;
      case 'read':
        visit(node.index);
    }
    order.push(node);
  };
  visit(root);
  return order.reverse();
}

function constant(value: number): Node {
  return { kind: 'constant', type: 'f32', value };
}

function isConstant(node: Node, value: number): boolean {
  return node.kind === 'constant' && node.value === value;
}

function binary(operation: 'add' | 'sub' | 'mul' | 'div', a: Node, b: Node): Node {
  return { kind: 'binary', type: 'f32', operation, a, b };
}

function compare(operation: 'lt' | 'gt' | 'le' | 'ge', a: Node, b: Node): Node {
  return { kind: 'binary', type: 'bool', operation, a, b };
}

function sum(a: Node, b: Node): Node {
  if (isConstant(a, 0)) return b;
  return isConstant(b, 0) ? a : binary('add', a, b);
}

function product(a: Node, b: Node): Node {
  if (isConstant(a, 0) || isConstant(b, 0)) return constant(0);
  if (isConstant(a, 1)) return b;
  return isConstant(b, 1) ? a : binary('mul', a, b);
}

function quotient(a: Node, b: Node): Node {
  return isConstant(a, 0) || isConstant(b, 1) ? a : binary('div', a, b);
}

function negative(a: Node): Node {
  return a.kind === 'constant' ? constant(-a.value) : { kind: 'unary', type: 'f32', operation: 'neg', a };
}

function choose(condition: Node, a: Node, b: Node): Node {
  return { kind: 'select', type: 'f32', condition, a, b };
}
