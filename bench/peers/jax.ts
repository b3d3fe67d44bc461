import { offerNavigatorGpu } from '../../packages/attention/src/interop/index.ts';
import { headsFirst, tokensFirst } from './layout.ts';
import type { Peer } from './peer.ts';

/** jax-js's nn.dotProductAttention, jitted, as its users would call it. */
export function jax(backend: 'wasm' | 'webgpu'): Peer {
  return {
    name: `jax-js-${backend}`,
    // Its scores are a tensor of all pairs: long sequences do not fit a buffer. It chooses its own threads.
    takes: ({ pass, mask, dtype, queryTokens, keyTokens, threads }) =>
      (backend === 'wasm') === (threads !== undefined) &&
      threads !== 1 &&
      pass === 'forward' &&
      mask.kind === 'none' &&
      dtype === 'f32' &&
      queryTokens === keyTokens,
    async unavailable() {
      try {
        if (backend === 'webgpu') await offerNavigatorGpu();
        const { init } = await import('@jax-js/jax');
        return (await init(backend)).includes(backend) ? undefined : `jax-js has no ${backend} backend here`;
      } catch (error) {
        return `jax-js cannot be loaded: ${error}`;
      }
    },
    async prepare({ facts }, inputs) {
      const { blockUntilReady, jit, nn, numpy: np } = await import('@jax-js/jax');
      const { batch, heads, headDim } = facts;
      const array = (numbers: Float32Array) => {
        const tokens = numbers.length / (batch * heads * headDim);
        const values = new Float32Array(tokensFirst(numbers, facts));
        return np.array(values, { shape: [batch, tokens, heads, headDim], device: backend });
      };
      const [query, key, value] = [inputs.query, inputs.key, inputs.value].map(array);
      const attend = jit((q: typeof query, k: typeof query, v: typeof query) =>
        nn.dotProductAttention(q, k, v),
      );
      const chained = (chain: number) => {
        let last = query.ref;
        for (let i = 0; i < chain; i++) last = attend(last, key.ref, value.ref);
        return last;
      };
      return {
        description: `jax-js, ${backend}`,
        async run(chain) {
          const last = chained(chain);
          await blockUntilReady(last);
          last.dispose();
        },
        output: async () => headsFirst(Float32Array.from((await chained(1).data()) as Float32Array), facts),
        async close() {
          for (const each of [query, key, value]) each.dispose();
          attend.dispose?.();
        },
      };
    },
  };
}
