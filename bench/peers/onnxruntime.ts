import type { TimedCase } from '../cases.ts';
import { attentionModel } from '../onnx-model.ts';
import { headsFirst, tokensFirst } from './layout.ts';
import type { Inputs, Peer, Prepared } from './peer.ts';

/** onnxruntime-node's MultiHeadAttention on its processor or WebGPU provider. */
export function onnxruntime(provider: 'cpu' | 'webgpu'): Peer {
  return {
    name: `onnxruntime-${provider}`,
    // Its WebGPU provider asks for no f16 where Dawn hides it, and the operator takes as many queries as keys.
    takes: ({ pass, mask, dtype, queryTokens, keyTokens, threads }) =>
      (provider === 'cpu') === (threads !== undefined) &&
      pass === 'forward' &&
      mask.kind === 'none' &&
      dtype === 'f32' &&
      queryTokens === keyTokens,
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

async function prepare(provider: 'cpu' | 'webgpu', item: TimedCase, inputs: Inputs): Promise<Prepared> {
  const { env, InferenceSession, Tensor } = await import('onnxruntime-node');
  const { facts } = item;
  const { batch, heads, queryTokens: tokens, headDim, threads } = facts;
  const shape = [batch, tokens, heads * headDim];
  const tensor = (data: Float32Array) => new Tensor('float32', tokensFirst(data, facts), shape);
  const feeds = { query: tensor(inputs.query), key: tensor(inputs.key), value: tensor(inputs.value) };
  const sessions = new Map<number, Awaited<ReturnType<typeof InferenceSession.create>>>();
  for (const nodes of new Set([1, ...item.chains])) {
    const session = await InferenceSession.create(attentionModel({ batch, heads, tokens, headDim, nodes }), {
      executionProviders: [provider],
      ...(threads && { intraOpNumThreads: threads }),
      interOpNumThreads: 1,
      logSeverityLevel: 3,
    });
    sessions.set(nodes, session);
  }
  return {
    description: `onnxruntime-node ${env.versions.node ?? env.versions.common}, ${provider}${threads ? `, ${threads} threads` : ''}`,
    async run(chain) {
      await sessions.get(chain)!.run(feeds);
    },
    async output() {
      const { output } = await sessions.get(1)!.run(feeds);
      return headsFirst(output.data as Float32Array, facts);
    },
    async close() {
      for (const session of sessions.values()) await session.release();
    },
  };
}
