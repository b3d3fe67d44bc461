import { invariant } from '../errors.ts';
import type { Node, Traced } from './expression.ts';

/** The inputs of one pair, filled by the caller and reused between pairs. */
export interface PairInputs {
  batch: number;
  head: number;
  query: number;
  key: number;
  querySlot: number;
  keySlot: number;
  score: number;
}

type Evaluate = (at: PairInputs) => number;

/**
 * Compiles a traced expression to closures (no `new Function`: pages forbid eval). Booleans come as 0 and 1.
 * Floats are float64: this is the reference's meaning.
 * @param tables host copies of traced.tables, same order
 */
export function compileToJs(traced: Traced, tables: readonly ArrayLike<number>[]): Evaluate {
  const compile = (node: Node): Evaluate => {
    switch (node.kind) {
      case 'input': {
        const name = node.name;
        return (at) => at[name];
      }
      case 'constant': {
        const { value } = node;
        return () => value;
      }
      case 'unary':
        return unary(node, compile(node.a));
      case 'binary':
        return binary(node, compile(node.a), compile(node.b));
      case 'select': {
        const condition = compile(node.condition);
        const a = compile(node.a);
        const b = compile(node.b);
        return (at) => (condition(at) ? a(at) : b(at));
      }
      case 'read': {
        const table = tables[node.table];
        invariant(table !== undefined, `expression reads table ${node.table} of ${tables.length}`);
        const index = compile(node.index);
        const last = table.length - 1;
        return (at) => table[Math.min(Math.max(index(at), 0), last)];
      }
    }
  };
  return compile(traced.node);
}

function unary(node: Extract<Node, { kind: 'unary' }>, a: Evaluate): Evaluate {
  switch (node.operation) {
    case 'neg':
      return node.type === 'i32' ? (at) => -a(at) | 0 : (at) => -a(at);
    case 'abs':
      return (at) => Math.abs(a(at));
    case 'not':
      return (at) => (a(at) ? 0 : 1);
    case 'exp':
      return (at) => Math.exp(a(at));
    case 'log':
      return (at) => Math.log(a(at));
    case 'sqrt':
      return (at) => Math.sqrt(a(at));
    case 'tanh':
      return (at) => Math.tanh(a(at));
    case 'floor':
      return (at) => Math.floor(a(at));
    case 'toFloat':
      return a;
    case 'toInt':
      return (at) => Math.trunc(a(at)) | 0;
  }
}

function binary(node: Extract<Node, { kind: 'binary' }>, a: Evaluate, b: Evaluate): Evaluate {
  const integer = node.type === 'i32';
  switch (node.operation) {
    case 'add':
      return integer ? (at) => (a(at) + b(at)) | 0 : (at) => a(at) + b(at);
    case 'sub':
      return integer ? (at) => (a(at) - b(at)) | 0 : (at) => a(at) - b(at);
    case 'mul':
      return integer ? (at) => Math.imul(a(at), b(at)) : (at) => a(at) * b(at);
    case 'div':
      return integer ? (at) => (a(at) / b(at)) | 0 : (at) => a(at) / b(at);
    case 'mod':
      return integer ? (at) => (a(at) % b(at)) | 0 : (at) => a(at) % b(at);
    case 'min':
      return (at) => Math.min(a(at), b(at));
    case 'max':
      return (at) => Math.max(a(at), b(at));
    case 'bitAnd':
      return (at) => a(at) & b(at);
    case 'bitOr':
      return (at) => a(at) | b(at);
    case 'shiftLeft':
      return (at) => a(at) << b(at);
    case 'shiftRight':
      return (at) => a(at) >> b(at);
    case 'eq':
      return (at) => (a(at) === b(at) ? 1 : 0);
    case 'ne':
      return (at) => (a(at) !== b(at) ? 1 : 0);
    case 'lt':
      return (at) => (a(at) < b(at) ? 1 : 0);
    case 'le':
      return (at) => (a(at) <= b(at) ? 1 : 0);
    case 'gt':
      return (at) => (a(at) > b(at) ? 1 : 0);
    case 'ge':
      return (at) => (a(at) >= b(at) ? 1 : 0);
    case 'and':
      return (at) => (a(at) && b(at) ? 1 : 0);
    case 'or':
      return (at) => (a(at) || b(at) ? 1 : 0);
  }
}
