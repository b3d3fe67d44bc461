import { attend, openDevice } from '../../packages/attention/src/index.ts';
import type { Case, Inputs, Peer, Prepared } from './peer.ts';

/** Our own attend() on one of its devices. */
export function saccade(kind: 'wasm' | 'webgpu'): Peer {
  return {
    name: `saccade-${kind}`,
    async unavailable() {
      try {
        const device = await openDevice(kind);
        await device.close();
        return undefined;
      } catch (error) {
        return String(error);
      }
    },
    prepare: (item, inputs) => prepare(kind, item, inputs),
  };
}

async function prepare(kind: 'wasm' | 'webgpu', item: Case, inputs: Inputs): Promise<Prepared> {
  const device = await openDevice(kind, kind === 'wasm' ? { threads: item.threads } : {});
  const shape = [item.batch, item.heads, item.tokens, item.headDim];
  const query = device.tensor(inputs.query, shape, 'f32');
  const key = device.tensor(inputs.key, shape, 'f32');
  const value = device.tensor(inputs.value, shape, 'f32');
  const chained = async (chain: number) => {
    let last = query;
    for (let i = 0; i < chain; i++) {
      const { output, logSumExp } = await attend(last, key, value);
      logSumExp.dispose();
      if (last !== query) last.dispose();
      last = output;
    }
    return last;
  };
  return {
    description: `${device.description}, tier ${device.tier}`,
    async run(chain) {
      const last = await chained(chain);
      await device.finish();
      last.dispose();
    },
    async output() {
      const last = await chained(1);
      const numbers = (await last.read()) as Float32Array;
      last.dispose();
      return numbers;
    },
    close: () => device.close(),
  };
}
