import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { openDevice } from '../../packages/attention/src/index.ts';
import { gpuDeviceOf, offerNavigatorGpu } from '../../packages/attention/src/interop/index.ts';
import type { Peer } from './peer.ts';

/** TensorFlow.js has no attention: two matMuls and a softmax, as its users compose it. */
export function tensorflow(backend: 'wasm' | 'webgpu'): Peer {
  return {
    name: `tensorflow-js-${backend}`,
    // Its scores are a tensor of all pairs: long sequences do not fit a buffer. In Node its WASM has one thread.
    takes: ({ pass, mask, dtype, queryTokens, keyTokens, threads }) =>
      (backend === 'wasm' ? threads === 1 : threads === undefined) &&
      pass === 'forward' &&
      mask.kind === 'none' &&
      dtype === 'f32' &&
      queryTokens === keyTokens,
    async unavailable() {
      try {
        await import('@tensorflow/tfjs-core');
        if (backend === 'webgpu') await (await openDevice('webgpu')).close();
        return undefined;
      } catch (error) {
        return `TensorFlow.js cannot run: ${(error as Error).message}`;
      }
    },
    async prepare({ facts }, inputs) {
      if (backend === 'webgpu') await offerNavigatorGpu();
      const tf = await import('@tensorflow/tfjs-core');
      const { description, close } = await (backend === 'wasm' ? startWasm() : startWebGPU());
      await tf.setBackend(backend);
      const { batch, heads, queryTokens, keyTokens, headDim } = facts;
      const query = tf.tensor(inputs.query, [batch, heads, queryTokens, headDim]);
      const key = tf.tensor(inputs.key, [batch, heads, keyTokens, headDim]);
      const value = tf.tensor(inputs.value, [batch, heads, keyTokens, headDim]);
      const chained = (chain: number) =>
        tf.tidy(() => {
          let last = query;
          for (let i = 0; i < chain; i++) {
            const scores = tf.mul(tf.matMul(last, key, false, true), headDim ** -0.5);
            last = tf.matMul(tf.softmax(scores), value);
          }
          return last;
        });
      return {
        description: `TensorFlow.js ${tf.version_core}, ${description}`,
        async run(chain) {
          const last = chained(chain);
          // one number is read, so that all is done
          const number = tf.tidy(() => tf.slice(last, [0, 0, 0, 0], [1, 1, 1, 1]));
          await number.data();
          for (const each of [last, number]) each.dispose();
        },
        async output() {
          const last = chained(1);
          const numbers = Float32Array.from(await last.data());
          last.dispose();
          return numbers;
        },
        async close() {
          for (const each of [query, key, value]) each.dispose();
          await close();
        },
      };
    },
  };
}

async function startWasm() {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  const main = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${join(dirname(main))}/`);
  return { description: 'WASM SIMD, one thread', close: async () => {} };
}

async function startWebGPU() {
  const tf = await import('@tensorflow/tfjs-core');
  const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu');
  const device = await openDevice('webgpu');
  const gpuDevice = gpuDeviceOf(device);
  try {
    tf.removeBackend('webgpu');
  } catch {
    // none was registered: navigator.gpu came after the import
  }
  tf.registerBackend('webgpu', async () => new WebGPUBackend(gpuDevice, gpuDevice.adapterInfo));
  return { description: `webgpu, ${device.description}`, close: () => device.close() };
}
