import { attend, bandPlan, blockListPlan, type Plan, type Tensor } from '../packages/attention/src/index.ts';
import { openWebGPU } from '../packages/attention/src/device/webgpu.ts';
import { timeSteady } from '../packages/attention/src/tune/steady.ts';
import { repeatedRandom } from './gpu-random.ts';
const device = await openWebGPU({ tier: (process.argv[2] ?? undefined) as any });
const { gpu } = device; console.log(device.description, device.tier);
const N = 4096;
for (const heads of [8, 64]) {
  const [q, k, v] = [1, 2, 3].map((s) => repeatedRandom(gpu, [1, heads, N, 64], 'f16', s)) as Tensor[];
  const time = async (name: string, plan?: Plan) => {
    const { medianMs } = await timeSteady({ device, work: async () => { const { output, logSumExp } = await attend(q, k, v, plan ? { plan } : {}); output.dispose(); logSumExp.dispose(); } }, 7);
    console.log(`${heads} heads ${name}: ${(medianMs * 1000).toFixed(0)} us`);
  };
  await time('dense');
  for (const before of [31, 127, 511, 2047]) await time(`band ${before}`, bandPlan({ queryTokens: N, keyTokens: N, before }));
  for (const block of [64, 128, 256]) for (const kept of [1, 4, 16]) await time(`queries of ${block}, ${kept} blocks of 64`, blockListPlan({ name: 'x', queryTokens: N, keyTokens: N, queries: { slots: N, block }, keys: { slots: N, block: 64 }, lists: Array.from({ length: N / block }, (_, r) => Array.from({ length: kept }, (_, i) => ({ block: (r * 5 + i * 3) % 64 })).sort((a,b)=>a.block-b.block)) }));
}
process.exit();
