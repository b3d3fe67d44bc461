// node bench/gpu-host.ts [--null] [--json file]: what a call costs the processor, beside what its kernels cost the GPU.
// First WebGPU's own calls, one by one, through Dawn's Node binding; then whole calls of ours, queued one after the
// other: `queued` is until the last is queued, `drained` until the GPU has done them all, both for one call. Where the two
// are equal the processor binds. --null runs on Dawn's null backend, which does everything but run the work.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openWebGPU } from '../packages/attention/src/device/webgpu.ts';
import { type AttendOptions, attend, bandPlan, type Tensor } from '../packages/attention/src/index.ts';
import { median } from '../packages/attention/src/tune/steady.ts';
import { generalizedNeighborhoodAttention } from '../packages/papers/src/gna/mechanism.ts';
import { options as gnaOptions } from '../packages/papers/src/gna/paper.ts';

const { values: flags } = parseArgs({
  options: { null: { type: 'boolean', default: false }, json: { type: 'string' } },
});
const device = await (flags.null ? openNull() : openWebGPU());
const { gpu } = device;
console.log(`${device.description}, tier ${device.tier}`);
const results: { name: string; queuedUs: number[]; drainedUs: number[] }[] = [];

async function time(name: string, once: () => unknown, calls: number): Promise<void> {
  const result = { name, queuedUs: [] as number[], drainedUs: [] as number[] };
  for (let round = -2; round < 7; round++) {
    const start = performance.now();
    for (let i = 0; i < calls; i++) await once();
    const queued = performance.now();
    await device.finish();
    if (round < 0) continue;
    result.queuedUs.push(((queued - start) / calls) * 1000);
    result.drainedUs.push(((performance.now() - start) / calls) * 1000);
  }
  results.push(result);
  const [queued, drained] = [median(result.queuedUs), median(result.drainedUs)];
  console.log(`${name}: queued ${queued.toFixed(1)} us, drained ${drained.toFixed(1)} us`);
}

await nativeCalls();
await ownCalls();
if (flags.json) writeFileSync(flags.json, JSON.stringify({ device: device.description, results }, null, 1));
process.exit();

/** Dawn's null backend offers a device's features but none of its matrix sizes, so that tiers stop at subgroup there. */
async function openNull() {
  const { create } = await import('webgpu');
  const instance = create([
    'backend=null',
    'enable-dawn-features=vulkan_enable_f16_on_nvidia,allow_unsafe_apis',
  ]);
  const adapter = await instance.requestAdapter();
  const gpuDevice = await adapter?.requestDevice({ requiredFeatures: ['shader-f16', 'subgroups'] });
  Object.assign(globalThis, { keptByHostBench: [instance, adapter] });
  return openWebGPU({ gpuDevice, tier: 'subgroup' });
}

async function nativeCalls(): Promise<void> {
  const raw = gpu.device;
  const code = `@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read> c: array<u32>;
@group(0) @binding(3) var<storage, read_write> d: array<u32>;
@group(0) @binding(4) var<uniform> u: array<vec4<u32>, 10>;
@compute @workgroup_size(1) fn main() { d[0] = a[0] + b[0] + c[0] + u[0].x; }`;
  const pipeline = await raw.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: raw.createShaderModule({ code }) },
  });
  const buffer = (usage: number) => raw.createBuffer({ size: 160, usage });
  const uniform = buffer(0x48);
  const numbers = new Uint8Array(160);
  const entries = [buffer(0x80), buffer(0x80), buffer(0x80), buffer(0x80), uniform].map((one, binding) => ({
    binding,
    resource: { buffer: one },
  }));
  const bind = () => raw.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const group = bind();
  const write = () => raw.queue.writeBuffer(uniform, 0, numbers);
  const pass = (dispatches: number) => {
    const encoder = raw.createCommandEncoder();
    const compute = encoder.beginComputePass();
    for (let i = 0; i < dispatches; i++) {
      compute.setPipeline(pipeline);
      compute.setBindGroup(0, group);
      compute.dispatchWorkgroups(1);
    }
    compute.end();
    return encoder.finish();
  };
  await time('native: createBindGroup', bind, 500);
  await time('native: createBuffer', () => buffer(0x48), 500);
  await time('native: writeBuffer', write, 500);
  await time('native: encode one dispatch', () => pass(1), 500);
  await time('native: encode and submit one dispatch', () => raw.queue.submit([pass(1)]), 500);
  const writeAndSubmit = () => {
    write();
    raw.queue.submit([pass(1)]);
  };
  await time('native: the same after writeBuffer', writeAndSubmit, 500);
  await time('native: encode and submit ten dispatches', () => raw.queue.submit([pass(10)]), 200);
}

async function ownCalls(): Promise<void> {
  const tensor = (heads: number, tokens: number, headDim: number) =>
    gpu.empty([1, heads, tokens, headDim], 'f16') as Tensor;
  const freed = async (result: Promise<{ output: Tensor; logSumExp: Tensor }>) => {
    const { output, logSumExp } = await result;
    output.dispose();
    logSumExp.dispose();
  };
  const call = (query: Tensor, key: Tensor, value: Tensor, options?: AttendOptions) => () =>
    freed(attend(query, key, value, options));
  const tiny = [tensor(1, 64, 64), tensor(1, 64, 64), tensor(1, 64, 64)] as const;
  const flat = [tensor(8, 4096, 64), tensor(8, 4096, 64), tensor(8, 4096, 64)] as const;
  // the null backend binds no more than 128 MiB
  const keyTokens = flags.null ? 8192 : 32_768;
  const long = [tensor(32, keyTokens, 128), tensor(32, keyTokens, 128)] as const;
  const plan = bandPlan({ queryTokens: 4096, keyTokens: 4096, before: 127 });
  const options = gnaOptions.parse({ grid: [64, 64], window: [16, 16], stride: [16, 16] });
  const [query, key, value] = flat;
  await time('attend, 1 x 64 x 64', call(...tiny), 500);
  await time('attend, causal, 1 x 64 x 64', call(...tiny, { causal: true }), 500);
  await time('attend, 8 x 4096 x 64', call(...flat), 200);
  await time('attend, 8 x 4096 x 64, band of 128', call(...flat, { plan }), 200);
  await time(
    'gna, 8 x 64 x 64 tokens x 64, window and stride 16',
    () => freed(generalizedNeighborhoodAttention({ query, key, value }, options)),
    200,
  );
  await time(`attend, one query, 32 x ${keyTokens} x 128`, call(tensor(32, 1, 128), ...long), 200);
}
