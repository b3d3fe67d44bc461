import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openDevice } from '../device/open.ts';
import { openWebGPU, type WebGPUDevice } from '../device/webgpu.ts';
import { ArgumentError } from '../errors.ts';
import { blockListPlan } from '../plan.ts';
import { attend, checkAttend } from '../softmax/attend.ts';
import { familyOf, kernelHash } from '../softmax/family.ts';
import { candidatesOf } from '../softmax/tiers/candidates.ts';
import { forwardOf } from '../softmax/tiers/forward.ts';
import { tunedTilesOf } from '../softmax/tuned.ts';
import { tiledCall } from '../softmax/webgpu.ts';
import { expectClose, randomArray, tolerances } from '../testing/close.ts';
import { tune } from './tune.ts';

const folder = mkdtempSync(join(tmpdir(), 'saccade-tune-'));
const usual = process.env.XDG_CACHE_HOME;
let device: WebGPUDevice;

beforeAll(async () => {
  process.env.XDG_CACHE_HOME = folder;
  device = await openWebGPU({ tier: 'portable' });
});
afterAll(async () => {
  await device.close();
  if (usual === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = usual;
  rmSync(folder, { recursive: true });
});

const family = {
  headDims: [8],
  dtypes: ['f32'],
  masks: ['blocks-16'],
  tokens: [64],
  batchHeads: [2],
} as const;

const shape = [1, 2, 64, 8];
const plan = blockListPlan({
  name: 'diagonal',
  queryTokens: 64,
  keyTokens: 64,
  queries: { slots: 64, block: 16 },
  keys: { slots: 64, block: 16 },
  lists: [[{ block: 0 }], [{ block: 1 }], [{ block: 2 }], [{ block: 3 }]],
});

/** The kernel that attend() launches for a call of the family, whose result is right. */
async function launched(on: WebGPUDevice): Promise<string> {
  const launch = vi.spyOn(on.gpu, 'launch');
  const reference = await openDevice('reference');
  const run = async (where: typeof on | typeof reference) => {
    const tensors = [1, 2, 3].map((seed) => where.tensor(randomArray(seed, shape), shape, 'f32'));
    return (await attend(tensors[0], tensors[1], tensors[2], { plan })).output.read();
  };
  expectClose(await run(on), await run(reference), tolerances.f32);
  const [[kernel]] = launch.mock.calls;
  launch.mockRestore();
  return kernel.code;
}

test('a search finds a tile that computes right, and attend() uses it, in later runs too', async () => {
  const before = await launched(device);
  const said: string[] = [];
  const result = await tune(device, { ...family, progress: (...words) => said.push(words.join(' ')) });
  expect(said).toEqual(['0 1 f32, headDim 8, blocks-16, 64 tokens, 2 heads']);
  const [found] = result.families;
  expect(found.name).toBe('portable, f32, headDim 8, blocks-16, by 16 queries, 64-255 tokens, 1-7 heads');
  expect(found.timed.length).toBeGreaterThan(1);
  expect(found.timeMs).toBeLessThanOrEqual(found.timed.find(({ tile }) => tile === found.tile)!.medianMs);
  expect(found.dropped.filter(({ reason }) => /differ/.test(reason))).toEqual([]);
  expect([result.kept, result.note, result.place]).toEqual([
    true,
    undefined,
    join(folder, 'saccade', 'tiles.json'),
  ]);

  // whichever was fastest here: from now on another tile than the tier's own is
  const tiles = tunedTilesOf(device.gpu)!;
  const tensors = [1, 2, 3].map((seed) => device.tensor(randomArray(seed, shape), shape, 'f32'));
  const request = checkAttend(tensors[0], tensors[1], tensors[2], { plan });
  const { prepared, blocks, machine } = tiledCall(device.gpu, request);
  const { options } = prepared;
  const other = candidatesOf(options, blocks, machine, 'portable').find(({ tile }) => tile)!;
  const kernel = kernelHash(familyOf(options, blocks, request, 'portable'), machine, other.tile, forwardOf);
  tiles.set(found.name, { ...tiles.get(found.name)!, tile: other.tile!, kernel });
  expect(before).not.toBe(other.kernel.code);
  expect(await launched(device)).toBe(other.kernel.code);
  await tiles.save();

  const later = await openWebGPU({ tier: 'portable' });
  await (await vi.waitUntil(() => tunedTilesOf(later.gpu))).ready;
  expect(await launched(later)).toBe(other.kernel.code);
  await later.close();
  const without = await openWebGPU({ tuned: false });
  expect(tunedTilesOf(without.gpu)).toBeUndefined();
  await without.close();

  // measured with another text of the kernel
  tiles.set(found.name, { ...tiles.get(found.name)!, kernel: 'stale' });
  expect(await launched(device)).toBe(before);
});

test('a cancelled search ends before the next family', async () => {
  const controller = new AbortController();
  const progress = () => controller.abort();
  await expect(tune(device, { ...family, signal: controller.signal, progress })).rejects.toThrow(/abort/i);
});

test('what cannot be tuned is named', async () => {
  const reference = await openDevice('reference');
  await expect(tune(reference)).rejects.toThrow(
    /device is a device of the kind reference; allowed: a WebGPU/,
  );
  await expect(tune(device, { headDims: [0] })).rejects.toThrow(ArgumentError);
  await expect(tune(device, { masks: ['sparse' as 'dense'] })).rejects.toThrow(
    /masks is sparse; allowed: dense/,
  );
  await expect(tune(device, { tokens: [] })).rejects.toThrow(/tokens is empty/);
});
