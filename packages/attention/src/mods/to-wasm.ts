import { invariant } from '../errors.ts';
import { sizeOf } from '../tensor.ts';
import type { Node, Table, Traced } from './expression.ts';
import { code, constantOf, leb, moduleOf, op, v } from './to-wasm-bytes.ts';
import { emitExp, emitTanh } from './to-wasm-exp.ts';

/** Bytes of a WASM module with one function that changes a tile of scores in place, and the tables it reads. */
export interface WasmExpression {
  bytes: Uint8Array<ArrayBuffer>;
  /** Addresses of these, in this order, are what the function's `tables` points at. */
  tables: readonly Table[];
}

// Parameters of the function, as the attention kernel calls it.
const SCORES = 0;
const COUNT = 1;
const KEY_TOKENS = 2;
const KEY_SLOTS = 3;
const FULL = 4;
const QUERY_TOKENS = 5;
const QUERY_SLOTS = 6;
const TABLES = 7;
const BATCH = 8;
const HEAD = 9;
const END = 10; // i32 local: one past the last score
const SCORE = 11; // v128 locals from here
const FIRST_FREE = 12;

// Functions of the module, as moduleOf() numbers them.
const LOG = 0;
const DIVIDE = 2;
const REMAINDER = 3;

/**
 * Compiles mask and score to one module: scores [count][8 query rows] become the score expression where the mask
 * keeps the pair (or its key's `full` word is -1), and -Infinity elsewhere. Lanes are query rows; tables are
 * read lane by lane. It imports env.memory and env.log (of float64) and exports `modify`.
 * @param target whether the memory it will be given is shared between threads, and whether relaxed SIMD is there
 *   (then a product that is added to something is rounded once, where the processor can)
 */
export function compileToWasm(
  mask: Traced | undefined,
  score: Traced | undefined,
  target: { shared: boolean; relaxed: boolean },
): WasmExpression {
  const tables = [...(mask?.tables ?? []), ...(score?.tables ?? [])];
  const uses = new Map<Node, number>();
  for (const root of [mask, score]) if (root) countUses(root.node, uses);
  let locals = FIRST_FREE;
  const body = (half: number): number[] => {
    const kept = new Map<Node, number>();
    const emit = (node: Node, firstTable: number): number[] => {
      if (node.kind === 'input' || node.kind === 'constant') return emitLeaf(node, half);
      const known = kept.get(node);
      if (known !== undefined) return op.get(known);
      const bytes = emitInner(
        node,
        (child) => emit(child, firstTable),
        tables,
        firstTable,
        () => locals++,
        target.relaxed,
      );
      if ((uses.get(node) ?? 0) < 2) return bytes;
      const local = locals++;
      kept.set(node, local);
      return [...bytes, ...op.tee(local)];
    };
    const offset = 16 * half;
    const bytes = [...op.get(SCORES), ...v.load(offset), ...op.set(SCORE)];
    const value = score ? emit(score.node, mask?.tables.length ?? 0) : op.get(SCORE);
    const changed = mask
      ? [
          ...value,
          ...constantOf('f32', -Infinity),
          ...[...emit(mask.node, 0), ...op.get(FULL), ...v.loadSplat(0), ...code(v.or)],
          ...code(v.bitselect),
        ]
      : value;
    return [...bytes, ...op.get(SCORES), ...changed, ...v.store(offset)];
  };
  const step = (pointer: number, bytes: number) => [
    ...op.get(pointer),
    ...op.i32(bytes),
    op.add,
    ...op.set(pointer),
  ];
  const loop = [
    ...[...op.get(SCORES), ...op.get(COUNT), ...op.i32(5), op.shiftLeft, op.add, ...op.set(END)],
    ...[0x02, 0x40, 0x03, 0x40],
    ...[...op.get(SCORES), ...op.get(END), 0x4f, 0x0d, 1],
    ...body(0),
    ...body(1),
    ...[...step(SCORES, 32), ...step(KEY_TOKENS, 4), ...step(KEY_SLOTS, 4), ...step(FULL, 4)],
    ...[0x0c, 0, 0x0b, 0x0b, 0x0b],
  ];
  const declared = [2, 1, 0x7f, ...leb(locals - SCORE), 0x7b];
  return { bytes: moduleOf([...declared, ...loop], target.shared), tables };
}

function countUses(node: Node, uses: Map<Node, number>): void {
  const before = uses.get(node) ?? 0;
  uses.set(node, before + 1);
  if (before > 0) return;
  if (node.kind === 'unary') countUses(node.a, uses);
  else if (node.kind === 'read') countUses(node.index, uses);
  else if (node.kind === 'binary' || node.kind === 'select') {
    countUses(node.a, uses);
    countUses(node.b, uses);
    if (node.kind === 'select') countUses(node.condition, uses);
  }
}

function emitLeaf(node: Extract<Node, { kind: 'input' | 'constant' }>, half: number): number[] {
  if (node.kind === 'constant') return constantOf(node.type === 'f32' ? 'f32' : 'i32', node.value);
  switch (node.name) {
    case 'score':
      return op.get(SCORE);
    case 'batch':
      return [...op.get(BATCH), ...code(v.i32Splat)];
    case 'head':
      return [...op.get(HEAD), ...code(v.i32Splat)];
    case 'query':
      return [...op.get(QUERY_TOKENS), ...v.load(16 * half)];
    case 'querySlot':
      return [...op.get(QUERY_SLOTS), ...v.load(16 * half)];
    case 'key':
      return [...op.get(KEY_TOKENS), ...v.loadSplat(0)];
    case 'keySlot':
      return [...op.get(KEY_SLOTS), ...v.loadSplat(0)];
  }
}

function emitInner(
  node: Exclude<Node, { kind: 'input' | 'constant' }>,
  emit: (node: Node) => number[],
  tables: readonly Table[],
  firstTable: number,
  local: () => number,
  fused: boolean,
): number[] {
  switch (node.kind) {
    case 'unary':
      return unary(node, emit(node.a), local);
    case 'binary':
      return binary(node, emit, local, fused);
    case 'select':
      return [...emit(node.a), ...emit(node.b), ...emit(node.condition), ...code(v.bitselect)];
    case 'read': {
      const number = firstTable + node.table;
      const table = tables[number];
      invariant(table !== undefined, `expression reads table ${number} of ${tables.length}`);
      const last = sizeOf(table.shape) - 1;
      if (last < 0) return constantOf('i32', 0);
      const [index, result] = [local(), local()];
      const bytes = [
        ...emit(node.index),
        ...constantOf('i32', 0),
        ...code(v.i32.max),
        ...constantOf('i32', last),
        ...[...code(v.i32.min), ...op.i32(2), ...code(v.i32.shiftLeft), ...op.set(index)],
        ...[...constantOf('i32', 0), ...op.set(result)],
      ];
      for (let lane = 0; lane < 4; lane++) {
        bytes.push(
          ...[
            ...op.get(TABLES),
            ...op.load(4 * number),
            ...op.get(index),
            ...code(v.i32.extract),
            lane,
            op.add,
          ],
          ...[...op.get(result), ...v.loadLane(lane), ...op.set(result)],
        );
      }
      return [...bytes, ...op.get(result)];
    }
  }
}

function unary(node: Extract<Node, { kind: 'unary' }>, a: number[], local: () => number): number[] {
  const type = node.type === 'i32' ? v.i32 : v.f32;
  switch (node.operation) {
    case 'neg':
      return [...a, ...code(type.neg)];
    case 'abs':
      return [...a, ...code(type.abs)];
    case 'not':
      return [...a, ...code(v.not)];
    case 'sqrt':
      return [...a, ...code(v.f32.sqrt)];
    case 'floor':
      return [...a, ...code(v.f32.floor)];
    case 'toFloat':
      return [...a, ...code(v.toFloat)];
    case 'toInt':
      return [...a, ...code(v.toInt)];
    case 'exp':
      return emitExp(a, local);
    case 'tanh':
      return emitTanh(a, local);
    case 'log': {
      const value = local();
      const bytes = [...a, ...op.set(value)];
      for (let lane = 0; lane < 4; lane++) {
        bytes.push(
          ...[...op.get(value), ...op.get(value), ...code(v.f32.extract), lane, 0xbb],
          ...[...op.call(LOG), 0xb6, ...code(v.f32.replace), lane, ...op.set(value)],
        );
      }
      return [...bytes, ...op.get(value)];
    }
  }
}

function binary(
  node: Extract<Node, { kind: 'binary' }>,
  emit: (node: Node) => number[],
  local: () => number,
  fused: boolean,
): number[] {
  const { operation } = node;
  const integer = node.a.type === 'i32';
  const { b } = node;
  const constant = b.kind === 'constant' ? b.value : undefined;
  if (integer && (operation === 'shiftLeft' || operation === 'shiftRight')) {
    if (constant !== undefined) return [...emit(node.a), ...op.i32(constant & 31), ...code(v.i32[operation])];
    return perLane(emit(node.a), emit(b), [operation === 'shiftLeft' ? op.shiftLeft : op.shiftRight], local);
  }
  if (integer && (operation === 'div' || operation === 'mod')) {
    // Every i32 quotient is exact enough in float64 to truncate right, except -2^31 / -1.
    if (constant !== undefined && constant !== 0 && constant !== -1)
      return divideByConstant(emit(node.a), constant, operation, local);
    return perLane(emit(node.a), emit(b), op.call(operation === 'div' ? DIVIDE : REMAINDER), local);
  }
  if (operation === 'add' && node.type === 'f32' && fused) {
    const [product, rest] = isProduct(node.a) ? [node.a, b] : [b, node.a];
    if (isProduct(product))
      return [...emit(product.a), ...emit(product.b), ...emit(rest), ...code(v.f32.madd)];
  }
  const both = [...emit(node.a), ...emit(b)];
  switch (operation) {
    case 'and':
    case 'bitAnd':
      return [...both, ...code(v.and)];
    case 'or':
    case 'bitOr':
      return [...both, ...code(v.or)];
    case 'eq':
    case 'ne':
      return [...both, ...code(integer ? v.i32[operation] : v.f32[operation])];
    case 'shiftLeft':
    case 'shiftRight':
    case 'mod':
      throw new Error(`Saccade has a bug: ${operation} of floats in an expression`);
    case 'div':
      return [...both, ...code(v.f32.div)];
    default:
      return [...both, ...code(integer ? v.i32[operation] : v.f32[operation])];
  }
}

function isProduct(node: Node): node is Extract<Node, { kind: 'binary' }> {
  return node.kind === 'binary' && node.operation === 'mul' && node.type === 'f32';
}

function perLane(a: number[], b: number[], combine: number[], local: () => number): number[] {
  const [left, right] = [local(), local()];
  const bytes = [...a, ...op.set(left), ...b, ...op.set(right)];
  for (let lane = 0; lane < 4; lane++) {
    const of = (vector: number) => [...op.get(vector), ...code(v.i32.extract), lane];
    bytes.push(
      ...[...op.get(left), ...of(left), ...of(right), ...combine, ...code(v.i32.replace), lane],
      ...op.set(left),
    );
  }
  return [...bytes, ...op.get(left)];
}

function divideByConstant(
  a: number[],
  divisor: number,
  operation: 'div' | 'mod',
  local: () => number,
): number[] {
  const [dividend, quotient] = [local(), local()];
  const high = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];
  const lowOfBoth = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
  const divided = [
    ...code(v.lowToF64),
    ...constantOf('f64', divisor),
    ...code(v.f64Div),
    ...code(v.f64ToLow),
  ];
  const bytes = [
    ...[...a, ...op.tee(dividend), ...divided],
    ...[...op.get(dividend), ...op.get(dividend), ...code(v.shuffle), ...high, ...divided],
    ...[...code(v.shuffle), ...lowOfBoth],
  ];
  if (operation === 'div') return bytes;
  return [
    ...[...bytes, ...op.set(quotient), ...op.get(dividend), ...op.get(quotient)],
    ...[...constantOf('i32', divisor), ...code(v.i32.mul), ...code(v.i32.sub)],
  ];
}
