/** Writes the few ONNX messages that a chain of attention nodes needs, so that no model file is downloaded. */

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low + 128 : low);
  } while (rest > 0);
  return bytes;
}

const integer = (field: number, value: number) => [...varint(field * 8), ...varint(value)];
const message = (field: number, bytes: readonly number[]) => [
  ...varint(field * 8 + 2),
  ...varint(bytes.length),
  ...bytes,
];
const text = (field: number, value: string) => message(field, [...new TextEncoder().encode(value)]);
const float = (field: number, value: number) => [
  ...varint(field * 8 + 5),
  ...new Uint8Array(Float32Array.of(value).buffer),
];

// Field numbers below are those of onnx.proto.
const FLOAT = 1;
const INT = 2;

function tensorInfo(name: string, shape: readonly number[]): number[] {
  const dimensions = shape.flatMap((length) => message(1, integer(1, length)));
  const tensor = [...integer(1, FLOAT), ...message(2, dimensions)];
  return [...text(1, name), ...message(2, message(1, tensor))];
}

function attentionNode(query: string, output: string, heads: number, scale: number): number[] {
  return [
    ...text(1, query),
    ...text(1, 'key'),
    ...text(1, 'value'),
    ...text(2, output),
    ...text(3, output),
    ...text(4, 'MultiHeadAttention'),
    ...message(5, [...text(1, 'num_heads'), ...integer(3, heads), ...integer(20, INT)]),
    ...message(5, [...text(1, 'scale'), ...float(2, scale), ...integer(20, FLOAT)]),
    ...text(7, 'com.microsoft'),
  ];
}

/**
 * A model of `nodes` com.microsoft MultiHeadAttention nodes, each node's output the next one's query.
 * Inputs query, key, value and the output are f32 [batch, tokens, heads * headDim].
 */
export function attentionModel(spec: {
  batch: number;
  heads: number;
  tokens: number;
  headDim: number;
  nodes: number;
}): Uint8Array {
  const { batch, heads, tokens, headDim, nodes } = spec;
  const shape = [batch, tokens, heads * headDim];
  const name = (index: number) => (index === 0 ? 'query' : index === nodes ? 'output' : `between${index}`);
  const graph = [
    ...Array.from({ length: nodes }, (_, i) =>
      attentionNode(name(i), name(i + 1), heads, headDim ** -0.5),
    ).flatMap((node) => message(1, node)),
    ...text(2, 'attention'),
    ...['query', 'key', 'value'].flatMap((input) => message(11, tensorInfo(input, shape))),
    ...message(12, tensorInfo('output', shape)),
  ];
  return model(graph);
}

/** A model of one node without attributes, 'Tanh' for one: `input` and `output` are f32 of the shape. */
export function unaryModel(operator: string, shape: readonly number[]): Uint8Array {
  const node = [...text(1, 'input'), ...text(2, 'output'), ...text(3, 'output'), ...text(4, operator)];
  return model([
    ...message(1, node),
    ...text(2, operator),
    ...message(11, tensorInfo('input', shape)),
    ...message(12, tensorInfo('output', shape)),
  ]);
}

function model(graph: readonly number[]): Uint8Array {
  return Uint8Array.from([
    ...integer(1, 8),
    ...message(7, graph),
    ...message(8, [...text(1, ''), ...integer(2, 17)]),
    ...message(8, [...text(1, 'com.microsoft'), ...integer(2, 1)]),
  ]);
}
