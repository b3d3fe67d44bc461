import * as attention from '../../packages/attention/src/index.ts';
import type { BenchCase } from '../../packages/site/src/shared/bench.ts';
import { attendOptions } from '../masks.ts';
import type { Inputs, Peer, Prepared } from './peer.ts';

const { attend, attendBackward, openDevice } = attention;

/** Our own attend() and attendBackward() on one of our devices; on WebGPU with kernels of one tier. */
export function saccade(kind: 'wasm' | 'webgpu', tier?: attention.Tier): Peer {
  return {
    name: tier ? `saccade-${kind}-${tier}` : `saccade-${kind}`,
    takes: (facts) => (kind === 'wasm') === (facts.threads !== undefined),
    async unavailable(facts) {
      if (facts.pass === 'backward' && tier !== undefined && tier !== 'portable')
        return `attendBackward() has no kernels of the tier ${tier}`;
      try {
        const device = await openDevice(kind, { tier });
        await device.close();
        return undefined;
      } catch (error) {
        return (error as Error).message;
      }
    },
    async prepare({ facts }, inputs) {
      const device = await openDevice(kind, { tier, threads: facts.threads });
      const prepared =
        facts.pass === 'forward' ? forward(device, facts, inputs) : gradients(device, facts, inputs);
      return { ...(await prepared), description: `${device.description}, tier ${device.tier}` };
    },
  };
}

type Part = Omit<Prepared, 'description'>;

function upload(device: attention.Device, facts: BenchCase, inputs: Inputs) {
  const { batch, heads, queryTokens, keyTokens, headDim, dtype } = facts;
  const tensor = (numbers: Float32Array, tokens: number) =>
    device.tensor(numbers, [batch, heads, tokens, headDim], dtype);
  return {
    query: tensor(inputs.query, queryTokens),
    key: tensor(inputs.key, keyTokens),
    value: tensor(inputs.value, keyTokens),
  };
}

async function forward(device: attention.Device, facts: BenchCase, inputs: Inputs): Promise<Part> {
  const { query, key, value } = upload(device, facts, inputs);
  const options = attendOptions(facts);
  const chained = async (chain: number) => {
    let last = query;
    for (let i = 0; i < chain; i++) {
      const { output, logSumExp } = await attend(last, key, value, options);
      logSumExp.dispose();
      if (last !== query) last.dispose();
      last = output;
    }
    return last;
  };
  return {
    async run(chain) {
      const last = await chained(chain);
      await device.finish();
      last.dispose();
    },
    async output() {
      const { tier } = await attend(query, key, value, options);
      if (tier !== undefined && tier !== device.tier) throw new Error(`such calls run on the tier ${tier}`);
      const last = await chained(1);
      const numbers = (await last.read()) as Float32Array;
      last.dispose();
      return numbers;
    },
    close: () => device.close(),
  };
}

async function gradients(device: attention.Device, facts: BenchCase, inputs: Inputs): Promise<Part> {
  const { query, key, value } = upload(device, facts, inputs);
  const options = attendOptions(facts);
  const result = await attend(query, key, value, options);
  const outputGradient = device.tensor(inputs.query, query.shape, facts.dtype);
  return {
    async run(chain) {
      for (let i = 0; i < chain; i++) {
        const made = await attendBackward(query, key, value, result, outputGradient, options);
        for (const tensor of [made.query, made.key, made.value]) tensor.dispose();
      }
      await device.finish();
    },
    output: () => Promise.resolve(undefined),
    close: () => device.close(),
  };
}
