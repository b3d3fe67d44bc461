import { ArgumentError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';

/**
 * Mask and score expressions: TypeScript that is traced once into a small tree, then compiled for each tier
 * (to-js, to-wgsl, to-wasm). Integers are i32 with wrap-around; div and mod truncate towards zero, as in WGSL.
 */
export type ExpressionType = 'i32' | 'f32' | 'bool';

/** i32 inputs, except `score`, the scaled score of the pair (f32). */
export type InputName = 'batch' | 'head' | 'query' | 'key' | 'querySlot' | 'keySlot' | 'score';

export type BinaryOperation =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'mod'
  | 'min'
  | 'max'
  | 'bitAnd'
  | 'bitOr'
  | 'shiftLeft'
  | 'shiftRight'
  | 'eq'
  | 'ne'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'
  | 'and'
  | 'or';
export type UnaryOperation =
  | 'neg'
  | 'abs'
  | 'not'
  | 'exp'
  | 'log'
  | 'sqrt'
  | 'tanh'
  | 'floor'
  | 'toFloat'
  | 'toInt';

/** A tensor or host array that an expression reads. */
export interface Table {
  readonly shape: readonly number[];
  readonly type: 'i32' | 'f32';
  readonly data: Float32Array | Int32Array | Tensor;
}

export type Node =
  | { readonly kind: 'input'; readonly type: ExpressionType; readonly name: InputName }
  | { readonly kind: 'constant'; readonly type: ExpressionType; readonly value: number }
  | {
      readonly kind: 'unary';
      readonly type: ExpressionType;
      readonly operation: UnaryOperation;
      readonly a: Node;
    }
  | {
      readonly kind: 'binary';
      readonly type: ExpressionType;
      readonly operation: BinaryOperation;
      readonly a: Node;
      readonly b: Node;
    }
  | {
      readonly kind: 'select';
      readonly type: ExpressionType;
      readonly condition: Node;
      readonly a: Node;
      readonly b: Node;
    }
  /** Element `index` of table number `table` (row-major, already flattened); out-of-range indices read the nearest end. */
  | { readonly kind: 'read'; readonly type: ExpressionType; readonly table: number; readonly index: Node };

/** A traced expression with the tables it reads. `tables[i]` is what node.table = i means. */
export interface Traced {
  readonly node: Node;
  readonly tables: readonly Table[];
}

type IntLike = IntExpression | number;
type FloatLike = FloatExpression | number;

class Expression {
  readonly node: Node;
  constructor(node: Node) {
    this.node = node;
  }
}

export class BoolExpression extends Expression {
  declare private readonly brand: 'bool';
  and(other: BoolExpression): BoolExpression {
    return new BoolExpression(binary('and', 'bool', this.node, other.node));
  }
  or(other: BoolExpression): BoolExpression {
    return new BoolExpression(binary('or', 'bool', this.node, other.node));
  }
  not(): BoolExpression {
    return new BoolExpression({ kind: 'unary', type: 'bool', operation: 'not', a: this.node });
  }
  /** `this ? a : b` on floats. */
  select(a: FloatLike, b: FloatLike): FloatExpression {
    return new FloatExpression({
      kind: 'select',
      type: 'f32',
      condition: this.node,
      a: float(a),
      b: float(b),
    });
  }
  /** `this ? a : b` on integers. */
  selectInt(a: IntLike, b: IntLike): IntExpression {
    return new IntExpression({ kind: 'select', type: 'i32', condition: this.node, a: int(a), b: int(b) });
  }
}

export class IntExpression extends Expression {
  declare private readonly brand: 'i32';
  add(b: IntLike): IntExpression {
    return this.with('add', b);
  }
  sub(b: IntLike): IntExpression {
    return this.with('sub', b);
  }
  mul(b: IntLike): IntExpression {
    return this.with('mul', b);
  }
  /** Truncates towards zero. */
  div(b: IntLike): IntExpression {
    return this.with('div', b);
  }
  /** Sign of the dividend. */
  mod(b: IntLike): IntExpression {
    return this.with('mod', b);
  }
  min(b: IntLike): IntExpression {
    return this.with('min', b);
  }
  max(b: IntLike): IntExpression {
    return this.with('max', b);
  }
  bitAnd(b: IntLike): IntExpression {
    return this.with('bitAnd', b);
  }
  bitOr(b: IntLike): IntExpression {
    return this.with('bitOr', b);
  }
  shiftLeft(b: IntLike): IntExpression {
    return this.with('shiftLeft', b);
  }
  shiftRight(b: IntLike): IntExpression {
    return this.with('shiftRight', b);
  }
  clamp(low: IntLike, high: IntLike): IntExpression {
    return this.max(low).min(high);
  }
  neg(): IntExpression {
    return new IntExpression({ kind: 'unary', type: 'i32', operation: 'neg', a: this.node });
  }
  abs(): IntExpression {
    return new IntExpression({ kind: 'unary', type: 'i32', operation: 'abs', a: this.node });
  }
  toFloat(): FloatExpression {
    return new FloatExpression({ kind: 'unary', type: 'f32', operation: 'toFloat', a: this.node });
  }
  eq(b: IntLike): BoolExpression {
    return this.compare('eq', b);
  }
  ne(b: IntLike): BoolExpression {
    return this.compare('ne', b);
  }
  lt(b: IntLike): BoolExpression {
    return this.compare('lt', b);
  }
  le(b: IntLike): BoolExpression {
    return this.compare('le', b);
  }
  gt(b: IntLike): BoolExpression {
    return this.compare('gt', b);
  }
  ge(b: IntLike): BoolExpression {
    return this.compare('ge', b);
  }
  private with(operation: BinaryOperation, b: IntLike): IntExpression {
    return new IntExpression(binary(operation, 'i32', this.node, int(b)));
  }
  private compare(operation: BinaryOperation, b: IntLike): BoolExpression {
    return new BoolExpression(binary(operation, 'bool', this.node, int(b)));
  }
}

export class FloatExpression extends Expression {
  declare private readonly brand: 'f32';
  add(b: FloatLike): FloatExpression {
    return this.with('add', b);
  }
  sub(b: FloatLike): FloatExpression {
    return this.with('sub', b);
  }
  mul(b: FloatLike): FloatExpression {
    return this.with('mul', b);
  }
  div(b: FloatLike): FloatExpression {
    return this.with('div', b);
  }
  min(b: FloatLike): FloatExpression {
    return this.with('min', b);
  }
  max(b: FloatLike): FloatExpression {
    return this.with('max', b);
  }
  neg(): FloatExpression {
    return this.unary('neg');
  }
  abs(): FloatExpression {
    return this.unary('abs');
  }
  exp(): FloatExpression {
    return this.unary('exp');
  }
  log(): FloatExpression {
    return this.unary('log');
  }
  sqrt(): FloatExpression {
    return this.unary('sqrt');
  }
  tanh(): FloatExpression {
    return this.unary('tanh');
  }
  floor(): FloatExpression {
    return this.unary('floor');
  }
  /** Truncates towards zero. */
  toInt(): IntExpression {
    return new IntExpression({ kind: 'unary', type: 'i32', operation: 'toInt', a: this.node });
  }
  lt(b: FloatLike): BoolExpression {
    return this.compare('lt', b);
  }
  le(b: FloatLike): BoolExpression {
    return this.compare('le', b);
  }
  gt(b: FloatLike): BoolExpression {
    return this.compare('gt', b);
  }
  ge(b: FloatLike): BoolExpression {
    return this.compare('ge', b);
  }
  private with(operation: BinaryOperation, b: FloatLike): FloatExpression {
    return new FloatExpression(binary(operation, 'f32', this.node, float(b)));
  }
  private unary(operation: UnaryOperation): FloatExpression {
    return new FloatExpression({ kind: 'unary', type: 'f32', operation, a: this.node });
  }
  private compare(operation: BinaryOperation, b: FloatLike): BoolExpression {
    return new BoolExpression(binary(operation, 'bool', this.node, float(b)));
  }
}

/** Positions of one (query, key) pair. */
export interface Positions {
  batch: IntExpression;
  /** Query head. */
  head: IntExpression;
  /** Token index of the query. */
  query: IntExpression;
  /** Token index of the key; -1 for a zero key outside a box's grid. */
  key: IntExpression;
  /** Place of the query inside its query block: 0 to block - 1. */
  querySlot: IntExpression;
  /** Place of the key in the concatenated key list of the query block: 0 to keyCount - 1. */
  keySlot: IntExpression;
  /** Reads a table at integer indices, one per axis. */
  read(table: TableHandle, ...index: IntLike[]): FloatExpression;
  readInt(table: TableHandle, ...index: IntLike[]): IntExpression;
}

/** true where the pair takes part. */
export type MaskFunction = (at: Positions) => BoolExpression;
/** The new score of a pair, from the scaled score q·k·scale. */
export type ScoreFunction = (at: Positions & { score: FloatExpression }) => FloatExpression;

export interface TableHandle {
  readonly table: Table;
}

/** Makes an array or a device tensor readable in expressions: Float32Array, and tensors of f32 or f16, by read(); Int32Array, and tensors of u32, by readInt(). */
export function table(data: Float32Array | Int32Array | Tensor, shape: readonly number[]): TableHandle {
  const whole = data instanceof Int32Array || ('dtype' in data && data.dtype === 'u32');
  const type = whole ? 'i32' : 'f32';
  const size = shape.reduce((product, length) => product * length, 1);
  if ('length' in data && data.length !== size) {
    throw new ArgumentError(
      'table',
      'data',
      `${data.length} numbers`,
      `${size}, the product of shape [${shape.join(', ')}]`,
    );
  }
  return { table: { shape, type, data } };
}

/** Records a mask function. */
export function traceMask(mask: MaskFunction): Traced {
  const tables: Table[] = [];
  const result = mask(positions(tables));
  if (!(result instanceof BoolExpression))
    throw new ArgumentError('mask', 'result', typeof result, 'a boolean expression such as key.le(query)');
  return { node: result.node, tables };
}

/** Records a score function. */
export function traceScore(score: ScoreFunction): Traced {
  const tables: Table[] = [];
  const result = score({ ...positions(tables), score: new FloatExpression(input('score')) });
  if (!(result instanceof FloatExpression))
    throw new ArgumentError('score', 'result', typeof result, 'a float expression such as score.add(1)');
  return { node: result.node, tables };
}

/** An integer constant as an expression, for functions that build expressions from numbers. */
export function constantInt(value: number): IntExpression {
  return new IntExpression(int(value));
}

/** The inputs of a pair, for an expression whose tables are noted in `tables`. */
export function positions(tables: Table[]): Positions {
  const node = (handle: TableHandle, index: IntLike[]): Node => {
    const { table } = handle;
    if (index.length !== table.shape.length) {
      throw new ArgumentError(
        'read',
        'index',
        `${index.length} indices`,
        `${table.shape.length}, one per axis of the table`,
      );
    }
    let flat = index.length === 0 ? int(0) : int(index[0]);
    for (let axis = 1; axis < index.length; axis++) {
      flat = binary('add', 'i32', binary('mul', 'i32', flat, int(table.shape[axis])), int(index[axis]));
    }
    let number = tables.indexOf(table);
    if (number < 0) number = tables.push(table) - 1;
    return { kind: 'read', type: table.type, table: number, index: flat };
  };
  return {
    batch: new IntExpression(input('batch')),
    head: new IntExpression(input('head')),
    query: new IntExpression(input('query')),
    key: new IntExpression(input('key')),
    querySlot: new IntExpression(input('querySlot')),
    keySlot: new IntExpression(input('keySlot')),
    read: (handle, ...index) => {
      if (handle.table.type !== 'f32')
        throw new ArgumentError('read', 'table', 'an integer table', 'a float table (use readInt)');
      return new FloatExpression(node(handle, index));
    },
    readInt: (handle, ...index) => {
      if (handle.table.type !== 'i32')
        throw new ArgumentError('readInt', 'table', 'a float table', 'an integer table (use read)');
      return new IntExpression(node(handle, index));
    },
  };
}

function input(name: InputName): Node {
  return { kind: 'input', type: name === 'score' ? 'f32' : 'i32', name };
}

function binary(operation: BinaryOperation, type: ExpressionType, a: Node, b: Node): Node {
  return { kind: 'binary', type, operation, a, b };
}

function int(value: IntLike): Node {
  if (value instanceof IntExpression) return value.node;
  if (!Number.isInteger(value) || value < -(2 ** 31) || value >= 2 ** 31) {
    throw new ArgumentError('expression', 'integer', value, 'an integer from -2^31 to 2^31 - 1');
  }
  return { kind: 'constant', type: 'i32', value };
}

function float(value: FloatLike): Node {
  if (value instanceof FloatExpression) return value.node;
  if (typeof value !== 'number' || Number.isNaN(value))
    throw new ArgumentError('expression', 'float', value, 'a number');
  return { kind: 'constant', type: 'f32', value };
}
