import { invariant } from '../errors.ts';
import type { Node, Table, Traced } from './expression.ts';

/** How a kernel reads element `index` (an i32 expression, not yet clamped) of a table: WGSL of its type. */
export type ReadTable = (table: Table, index: string) => string;

const inputs = 'batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32';

/**
 * A traced expression as one WGSL function of a pair:
 * `fn name(batch, head, query, key, querySlot, keySlot: i32, score: f32) -> bool | f32 | i32`.
 * A node that the tree uses twice is computed once.
 */
export function compileToWgsl(name: string, traced: Traced, readTable: ReadTable): string {
  const lines: string[] = [];
  const named = new Map<Node, string>();
  const compile = (node: Node): string => {
    const known = named.get(node);
    if (known !== undefined) return known;
    const text = expressionOf(node, compile, traced, readTable);
    if (node.kind === 'input' || node.kind === 'constant') return text;
    const variable = `t${lines.length}`;
    lines.push(`  let ${variable} = ${text};`);
    named.set(node, variable);
    return variable;
  };
  const result = compile(traced.node);
  return `fn ${name}(${inputs}) -> ${traced.node.type} {\n${lines.join('\n')}\n  return ${result};\n}`;
}

function expressionOf(
  node: Node,
  compile: (node: Node) => string,
  traced: Traced,
  readTable: ReadTable,
): string {
  switch (node.kind) {
    case 'input':
      return node.name;
    case 'constant':
      return node.type === 'i32' ? `i32(${node.value})` : floatLiteral(node.value);
    case 'unary':
      return unaryText[node.operation](compile(node.a));
    case 'binary':
      return binaryText[node.operation](compile(node.a), compile(node.b));
    case 'select':
      return `select(${compile(node.b)}, ${compile(node.a)}, ${compile(node.condition)})`;
    case 'read': {
      const table = traced.tables[node.table];
      invariant(table, `expression reads table ${node.table} of ${traced.tables.length}`);
      return readTable(table, compile(node.index));
    }
  }
}

const call = (name: string) => (a: string) => `${name}(${a})`;
const infix = (sign: string) => (a: string, b: string) => `(${a} ${sign} ${b})`;

const unaryText = {
  neg: (a: string) => `(-(${a}))`,
  abs: call('abs'),
  not: (a: string) => `(!${a})`,
  exp: call('exp'),
  log: call('log'),
  sqrt: call('sqrt'),
  // drivers compute tanh by exp and overflow beyond 88; it is ±1 to f32 precision from 10 on
  tanh: (a: string) => `tanh(clamp(${a}, -15.0f, 15.0f))`,
  floor: call('floor'),
  toFloat: call('f32'),
  toInt: call('i32'),
};

const binaryText = {
  add: infix('+'),
  sub: infix('-'),
  mul: infix('*'),
  div: infix('/'),
  mod: infix('%'),
  min: (a: string, b: string) => `min(${a}, ${b})`,
  max: (a: string, b: string) => `max(${a}, ${b})`,
  bitAnd: infix('&'),
  bitOr: infix('|'),
  // JavaScript and the hardware shift by the lowest five bits; WGSL refuses larger constants
  shiftLeft: (a: string, b: string) => `(${a} << (u32(${b}) & 31u))`,
  shiftRight: (a: string, b: string) => `(${a} >> (u32(${b}) & 31u))`,
  eq: infix('=='),
  ne: infix('!='),
  lt: infix('<'),
  le: infix('<='),
  gt: infix('>'),
  ge: infix('>='),
  and: infix('&&'),
  or: infix('||'),
};

const largest = 3.4028234663852886e38;

/** WGSL has no infinities: they become the largest finite numbers. */
function floatLiteral(value: number): string {
  const text = String(Math.fround(Math.min(Math.max(value, -largest), largest)));
  return text.includes('.') || text.includes('e') ? `${text}f` : `${text}.0f`;
}
