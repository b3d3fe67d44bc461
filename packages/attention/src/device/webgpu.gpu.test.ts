import { spawnSync } from 'node:child_process';
import { afterAll, describe, expect, test } from 'vitest';
import { ArgumentError, DeviceError } from '../errors.ts';
import { table } from '../mods/expression.ts';
import { attend } from '../softmax/attend.ts';
import { retileWith } from '../softmax/retile.ts';
import { randomArray } from '../testing/close.ts';
import { deviceCases } from '../testing/suite.ts';
import { openDevice } from './open.ts';
import { openWebGPU, type WebGPUDevice } from './webgpu.ts';

const device = await openWebGPU();
afterAll(() => device.close());

/**
 * In software nearly all of a case is compiling, and the tile that is fast there takes twice as long to compile as this
 * one, which has the same loops with one row a thread.
 */
const quick = await openWebGPU({ tuned: false });
if (quick.capabilities.software)
  retileWith(quick.gpu, ({ options, blocks, machine }, forward) => {
    const keyTile = options.valueDim <= 32 ? 16 : options.valueDim <= 64 ? 32 : 64;
    const tile = { queryTile: 8, keyTile, rowsPerThread: 1, chunk: 8, prefetch: false, abreast: 1 } as const;
    return forward(options, blocks, machine, 'portable', { tier: 'portable', tile });
  });
afterAll(() => quick.close());

describe('WebGPU does as the reference does', () => {
  test.each(deviceCases.map((item) => [item.name, item] as const))('%s', (_name, item) => item.run(quick));
});

/** What several rows a thread change: scores, visits, sums, values and their NaN. */
const byTile = [
  'headDim 256',
  'valueDim other than headDim',
  'f16, odd channels',
  'blocks of 49',
  'blocks with full marks and a fine mask',
  'zero keys under a mask and a score',
  'rows that see nothing',
  'a value that is NaN reaches only the rows that see it, in its channel',
];

describe('with the tile of its own choice, too', () => {
  test.each(byTile)('%s', async (name) => {
    const item = deviceCases.find((one) => one.name === name);
    expect(item, 'a case of the suite').toBeDefined();
    await item!.run(device);
  });
});

describe('a WebGPU device', () => {
  test('describes its adapter', () => {
    expect(device.description.length).toBeGreaterThan(3);
    expect(device.description.includes('fallback adapter: software')).toBe(device.capabilities.software);
  });

  test('has the best tier of its adapter, and says what another one lacks', async () => {
    expect(device.tier).toBe(device.capabilities.software ? 'portable' : device.tier);
    await expect(openDevice('webgpu', { tier: 'wasm' })).rejects.toThrow(ArgumentError);
    const other = await openDevice('auto', { tier: 'subgroup' });
    expect(other.tier).toBe('subgroup');
    await other.close();
  });

  test('runs a call on the tier that it asks for, and says which ran', async () => {
    const [query, key, value] = tensors(device);
    expect((await attend(query, key, value)).tier).toBe(device.tier);
    for (const tier of ['portable', 'subgroup'] as const)
      expect((await attend(query, key, value, { tier })).tier).toBe(tier);
    await expect(attend(query, key, value, { tier: 'wasm' })).rejects.toThrow(
      'attend: tier is wasm; allowed: portable, subgroup, matrix on webgpu',
    );
  });

  test('counts the bytes of tensors and gives them back', () => {
    const before = device.memory.currentBytes;
    const tensor = device.tensor(new Float32Array(1000), [1000]);
    expect(device.memory.currentBytes - before).toBe(4000);
    expect(device.memory.peakBytes).toBeGreaterThanOrEqual(before + 4000);
    tensor.dispose();
    expect(device.memory.currentBytes).toBe(before);
  });

  test('leaves nothing behind but what it returns', async () => {
    const [query, key, value] = tensors(device);
    const once = async () => {
      const { output, logSumExp } = await attend(query, key, value, { causal: true });
      await device.finish();
      output.dispose();
      logSumExp.dispose();
      return device.memory.currentBytes;
    };
    const bytes = await once();
    const again = await once();
    expect(again - bytes).toBeLessThanOrEqual(16); // the plan of a call lives until it is garbage
  });

  test('refuses a dtype that it does not store', () => {
    expect(() => device.tensor([1], [1], 'f64')).toThrow(ArgumentError);
  });

  test('refuses a buffer beyond the limit, with both numbers', () => {
    const bytes = Number(device.capabilities.maxStorageBufferBindingSize) + 16;
    expect(() => device.gpu.allocate(bytes)).toThrow(DeviceError);
    expect(() => device.gpu.allocate(bytes)).toThrow(new RegExp(`${bytes.toString().slice(0, 6)}`));
  });

  test('refuses more table tensors than a kernel may bind, with both numbers', async () => {
    const [query, key, value] = tensors(device);
    const most = Number(device.capabilities.maxStorageBuffersPerShaderStage);
    const tables = Array.from({ length: most }, () => table(device.tensor([1, 2], [2]), [2]));
    const call = attend(query, key, value, {
      score: ({ score, read }) => tables.reduce((sum, each) => sum.add(read(each, 0)), score),
    });
    await expect(call).rejects.toThrow(`needs: ${most + 6} storage buffers`);
  });

  test('stops when the signal says so', async () => {
    const [query, key, value] = tensors(device);
    await expect(attend(query, key, value, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });

  test('that is lost says so; a new one works', async () => {
    const first = await openWebGPU();
    const [query, key, value] = tensors(first);
    const { output } = await attend(query, key, value);
    first.gpu.device.destroy();
    await expect(output.read()).rejects.toThrow(/device was lost/);
    expect(await first.lost).toMatch(/destroyed/);
    await expect(attend(query, key, value)).rejects.toThrow(DeviceError);
    await expect(first.finish()).rejects.toThrow(/device was lost/);
    const second = await openWebGPU();
    const result = await attend(...tensors(second));
    expect((await result.output.read()).every(Number.isFinite)).toBe(true);
    await second.close();
  });

  test('opens twice in a process whose environment names no driver', () => {
    const program = `import { openDevice } from './packages/attention/src/index.ts';
for (let i = 0; i < 2; i++) console.log((await openDevice('webgpu')).kind);
process.exit(0);`;
    const { VK_ICD_FILENAMES: _a, VK_DRIVER_FILES: _b, VK_ADD_DRIVER_FILES: _c, ...env } = process.env;
    const result = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', program], {
      env,
      encoding: 'utf8',
      timeout: 100_000,
    });
    expect([result.stdout, result.status]).toEqual(['webgpu\nwebgpu\n', 0]);
  });

  test('reports what WebGPU refuses as a DeviceError', async () => {
    const other = await openWebGPU();
    const buffer = other.gpu.allocate(16);
    buffer.destroy();
    await expect(other.gpu.read(buffer, 16)).rejects.toThrow(DeviceError);
    await other.close();
  });
});

function tensors(on: WebGPUDevice) {
  const shape = [1, 1, 8, 4];
  const make = (seed: number) => on.tensor(randomArray(seed, shape), shape);
  return [make(1), make(2), make(3)] as const;
}
