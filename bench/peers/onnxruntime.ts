import { attentionModel } from '../onnx-model.ts';
import type { Case, Inputs, Peer, Prepared } from './peer.ts';

/** onnxruntime-node's MultiHeadAttention on its processor or WebGPU provider. */
export function onnxruntime(provider: 'cpu' | 'webgpu'): Peer {
  return {
    name: `onnxruntime-${provider}`,
    async unavailable() {
      try {
        const { listSupportedBackends } = await import('onnxruntime-node');
        return listSupportedBackends().some(({ name }) => name === provider)
          ? undefined
          : `this build of onnxruntime-node has no ${provider} provider`;
      } catch (error) {
        return `onnxruntime-node cannot be loaded: ${error}`;
      }
    },
    prepare: (item, inputs) => prepare(provider, item, inputs),
  };
}

async function prepare(provider: 'cpu' | 'webgpu', item: Case, inputs: Inputs): Promise<Prepared> {
  const { env, InferenceSession, Tensor } = await import('onnxruntime-node');
  const { batch, heads, tokens, headDim } = item;
  const shape = [batch, tokens, heads * headDim];
  const tensor = (data: Float32Array) => new Tensor('float32', tokensFirst(data, item), shape);
  const feeds = { query: tensor(inputs.query), key: tensor(inputs.key), value: tensor(inputs.value) };
  const sessions = new Map<number, Awaited<ReturnType<typeof InferenceSession.create>>>();
  for (const nodes of new Set([1, ...item.chains])) {
    const session = await InferenceSession.create(attentionModel({ batch, heads, tokens, headDim, nodes }), {
      executionProviders: [provider],
      intraOpNumThreads: item.threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
    });
    sessions.set(nodes, session);
  }
  return {
    description: `onnxruntime-node ${env.versions.node ?? env.versions.common}, ${provider}${provider === 'cpu' ? `, ${item.threads} threads` : ''}`,
    async run(chain) {
      await sessions.get(chain)!.run(feeds);
    },
    async output() {
      const { output } = await sessions.get(1)!.run(feeds);
      return headsFirst(output.data as Float32Array, item);
    },
    async close() {
      for (const session of sessions.values()) await session.release();
    },
  };
}

/** [batch, heads, tokens, headDim] as [batch, tokens, heads * headDim]. */
function tokensFirst(data: Float32Array, { batch, heads, tokens, headDim }: Case): Float32Array {
  return swapMiddle(data, [batch, heads, tokens, headDim]);
}

function headsFirst(data: Float32Array, { batch, heads, tokens, headDim }: Case): Float32Array {
  return swapMiddle(data, [batch, tokens, heads, headDim]);
}

function swapMiddle(data: Float32Array, [a, b, c, d]: [number, number, number, number]): Float32Array {
  const swapped = new Float32Array(data.length);
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++)
      for (let k = 0; k < c; k++) {
        const from = ((i * b + j) * c + k) * d;
        swapped.set(data.subarray(from, from + d), ((i * c + k) * b + j) * d);
      }
  return swapped;
}
