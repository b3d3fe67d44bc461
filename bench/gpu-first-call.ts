// node bench/gpu-first-call.ts [--json file]: how long the first call of a new kind of attention waits for its kernels.
// Each is a family that this process has not compiled, on a small shape, so that what is timed is the making of the
// kernel: generating WGSL, Dawn's compiler, the driver's. Dawn in Node keeps no compiled kernels between processes; a
// driver may.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  type AttendOptions,
  attend,
  attendBackward,
  bandPlan,
  type Device,
  openDevice,
} from '../packages/attention/src/index.ts';
import { randomArray } from '../packages/attention/src/testing/close.ts';

const { values: flags } = parseArgs({ options: { json: { type: 'string' } } });
const tokens = 1024;
const kinds: Readonly<Record<string, AttendOptions>> = {
  dense: {},
  causal: { causal: true },
  window: { plan: bandPlan({ queryTokens: tokens, keyTokens: tokens, before: 127 }) },
  'soft cap': { score: ({ score }) => score.div(30).tanh().mul(30) },
};
interface FirstCall {
  readonly call: string;
  readonly tier: string;
  readonly firstMs: number;
  readonly secondMs: number;
}
const results: FirstCall[] = [];
for (const tier of ['portable', 'subgroup', 'matrix'] as const) {
  let device: Device;
  try {
    device = await openDevice('webgpu', { tier });
  } catch (error) {
    console.log(`${tier}: not run: ${(error as Error).message}`);
    continue;
  }
  console.log(`${device.description}, tier ${device.tier}`);
  const dtype = tier === 'portable' ? 'f32' : 'f16';
  for (const headDim of [64, 128]) {
    const shape = [1, 4, tokens, headDim];
    const [query, key, value] = [1, 2, 3].map((seed) =>
      device.tensor(randomArray(seed, shape), shape, dtype),
    );
    for (const [kind, options] of Object.entries(kinds)) {
      const call = `${kind}, headDim ${headDim}, ${dtype}`;
      const forward = () => attend(query, key, value, options);
      await timed(`${call}, forward`, device, forward);
      const result = await forward();
      await timed(`${call}, backward`, device, () =>
        attendBackward(query, key, value, result, result.output, options),
      );
    }
  }
  await device.close();
}
const slowest = results.reduce((most, each) => (each.firstMs > most.firstMs ? each : most));
console.log(
  `${results.length} first calls; the slowest ${slowest.firstMs.toFixed(0)} ms (${slowest.tier}, ${slowest.call})`,
);
if (flags.json) writeFileSync(flags.json, JSON.stringify(results, null, 1));
process.exit();

async function timed(
  call: string,
  device: Device,
  run: () => Promise<{ tier?: string | undefined }>,
): Promise<void> {
  const spent: number[] = [];
  let tier = device.tier as string;
  for (let i = 0; i < 2; i++) {
    const start = performance.now();
    tier = (await run()).tier ?? tier;
    await device.finish();
    spent.push(performance.now() - start);
  }
  const [firstMs, secondMs] = spent;
  results.push({ call, tier, firstMs, secondMs });
  console.log(`  ${call} (${tier}): ${firstMs.toFixed(0)} ms, the second time ${secondMs.toFixed(1)} ms`);
}
