import * as attention from '../../packages/attention/src/index.ts';
import type { BenchCase } from '../../packages/site/src/shared/bench.ts';
import { attendOptions } from '../masks.ts';
import type { Inputs, Peer, Prepared } from './peer.ts';

const { attend, attendBackward, openDevice } = attention;

/**
 * Our own attend() and attendBackward() on one of our devices; on WebGPU with kernels of one tier. Decoding has kernels of
 * no tier, and runs on the device as it opens.
 */
export function saccade(kind: 'wasm' | 'webgpu', tier?: attention.Tier): Peer {
  return {
    name: tier ? `saccade-${kind}-${tier}` : `saccade-${kind}`,
    takes(facts) {
      if (kind === 'wasm') return facts.threads !== undefined;
      if (facts.threads !== undefined) return false;
      if (facts.queryTokens === 1) return tier === undefined;
      // halves are for the tiers above: portable kernels only read and write them
      return (
        tier !== undefined && (tier !== 'portable' || facts.dtype === 'f32' || facts.pass === 'backward')
      );
    },
    async unavailable() {
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
        facts.pass === 'forward'
          ? forward(device, facts, inputs, tier)
          : gradients(device, facts, inputs, tier);
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

async function forward(
  device: attention.Device,
  facts: BenchCase,
  inputs: Inputs,
  wanted?: attention.Tier,
): Promise<Part> {
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
      if (wanted !== undefined && tier !== wanted) throw new Error(`such calls run on the tier ${tier}`);
      const last = await chained(1);
      const numbers = (await last.read()) as Float32Array;
      last.dispose();
      return numbers;
    },
    close: () => device.close(),
  };
}

async function gradients(
  device: attention.Device,
  facts: BenchCase,
  inputs: Inputs,
  wanted?: attention.Tier,
): Promise<Part> {
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
    async output() {
      const made = await attendBackward(query, key, value, result, outputGradient, options);
      for (const tensor of [made.query, made.key, made.value]) tensor.dispose();
      if (wanted !== undefined && made.tier !== wanted)
        throw new Error(`such calls run on the tier ${made.tier}`);
      return undefined;
    },
    close: () => device.close(),
  };
}
