import { DeviceError } from '../errors.ts';

/** Where Chromium and Chrome keep SwiftShader, a Vulkan driver in software that Dawn accepts. */
const softwareDrivers = [
  '/usr/lib/chromium/vk_swiftshader_icd.json',
  '/usr/lib/chromium-browser/vk_swiftshader_icd.json',
  '/usr/lib64/chromium-browser/vk_swiftshader_icd.json',
  '/usr/lib64/chromium/vk_swiftshader_icd.json',
  '/snap/chromium/current/usr/lib/chromium-browser/vk_swiftshader_icd.json',
  '/opt/google/chrome/vk_swiftshader_icd.json',
  '/opt/microsoft/msedge/vk_swiftshader_icd.json',
];

/** Dawn's instances and adapters: when the garbage collector takes one that is in use, the process dies. */
const kept: unknown[] = [];
const instances = new Map<string, GPU>();

/**
 * The adapter to run on: the browser's, or Dawn's in Node.
 * @throws DeviceError that says what to install or where to look
 */
export async function findAdapter(moreDawnFeatures: readonly string[] = []): Promise<GPUAdapter> {
  const dawnFeatures = [...tierSwitches, ...moreDawnFeatures];
  const own = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (own && own !== offered) {
    const adapter = await own.requestAdapter({ powerPreference: 'high-performance' });
    if (adapter) return keep(adapter);
    throw new DeviceError('the browser offers no WebGPU adapter', {
      needs: 'a GPU that the browser trusts, or its software adapter',
      has: 'navigator.gpu without an adapter',
    });
  }
  if (typeof process === 'undefined' || !process.versions?.node) {
    throw new DeviceError('this browser has no WebGPU', {
      needs: 'navigator.gpu (Chrome 113, Safari 26, Firefox 141, or later, on a secure page)',
      has: 'none',
    });
  }
  return findDawnAdapter(dawnFeatures);
}

async function findDawnAdapter(dawnFeatures: readonly string[]): Promise<GPUAdapter> {
  const found = (await requestFromDawn(dawnFeatures, '')) ?? (await requestFromSoftware(dawnFeatures));
  if (found && isSoftware(found))
    return keep((await requestFromDawn(dawnFeatures, '', slowInSoftware)) ?? found);
  if (found) return keep(found);
  throw new DeviceError('Dawn finds no WebGPU adapter', {
    needs:
      'a Vulkan, Metal or D3D12 driver; on Linux without a GPU the packages chromium (it brings SwiftShader) and libvulkan1',
    has: `${process.platform} ${process.arch}, VK_ICD_FILENAMES=${process.env.VK_ICD_FILENAMES ?? ''}`,
  });
}

/**
 * What Dawn must be told before it offers the features of the higher tiers: NVIDIA's f16 is held back for old drivers,
 * subgroup matrices count as experimental. Neither changes a shader that does not use them.
 */
const tierSwitches = ['vulkan_enable_f16_on_nvidia', 'allow_unsafe_apis'];

let offered: GPU | undefined;

/**
 * Gives Node what browsers have: `navigator.gpu`, on Dawn, and the globals of WebGPU, so that jax-js, TensorFlow.js and
 * onnxruntime-web find it. Call it before they are imported. Does nothing where there is a `navigator.gpu` already.
 * @throws DeviceError that says what to install where Dawn cannot be loaded
 */
export async function offerNavigatorGpu(dawnFeatures: readonly string[] = []): Promise<void> {
  if ((globalThis.navigator as Navigator | undefined)?.gpu) return;
  const { globals } = await loadDawn();
  for (const [name, value] of Object.entries(globals))
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true });
  offered = {
    requestAdapter: () => findDawnAdapter([...tierSwitches, ...dawnFeatures]).catch(() => null),
    getPreferredCanvasFormat: () => 'bgra8unorm',
    wgslLanguageFeatures: new Set<string>(),
  } as unknown as GPU;
  const { navigator = {} } = globalThis as { navigator?: object };
  Object.defineProperty(navigator, 'gpu', { value: offered, configurable: true });
  if (!globalThis.navigator)
    Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
}

/** SwiftShader compiles one store for each number that this extension zeroes: seconds a kernel. Without it a loop zeroes them. */
const slowInSoftware = ['use_vulkan_zero_initialize_workgroup_memory_extension'];

/** Whether an adapter computes on the CPU. */
export function isSoftware({ info }: Pick<GPUAdapter, 'info'>): boolean {
  const words = [info.vendor, info.architecture, info.device, info.description].join(' ');
  return info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(words);
}

function keep<T>(thing: T): T {
  kept.push(thing);
  return thing;
}

async function requestFromDawn(
  features: readonly string[],
  driver: string,
  without: readonly string[] = [],
): Promise<GPUAdapter | null> {
  const key = `${features.join(',')} ${driver} ${without.join(',')}`;
  let instance = instances.get(key);
  if (!instance) {
    const dawn = await loadDawn();
    instance = keep(
      dawn.create([
        ...(features.length > 0 ? [`enable-dawn-features=${features.join(',')}`] : []),
        ...(without.length > 0 ? [`disable-dawn-features=${without.join(',')}`] : []),
      ]),
    );
    instances.set(key, instance);
  }
  try {
    return await instance.requestAdapter({ powerPreference: 'high-performance' });
  } catch {
    return null; // Dawn rejects where the Vulkan loader is missing
  }
}

async function loadDawn(): Promise<{ create(options: string[]): GPU; globals: Record<string, unknown> }> {
  // hidden from bundlers: a page never gets here
  const name = 'webgpu';
  try {
    return await import(/* @vite-ignore */ name);
  } catch (error) {
    throw new DeviceError(
      'Dawn cannot be loaded',
      {
        needs: "the npm package 'webgpu' with its binary for this machine",
        has: `${process.platform} ${process.arch}: ${(error as Error).message}`,
      },
      { cause: error },
    );
  }
}

/** What was put into VK_ICD_FILENAMES here: a later device must not take it for the caller's choice. */
let chosenDriver: string | undefined;

/** The caller's own choice of a driver stays; without one, SwiftShader is looked for where browsers keep it. */
async function requestFromSoftware(features: readonly string[]): Promise<GPUAdapter | null> {
  const { env } = process;
  if (process.platform !== 'linux' || env.VK_DRIVER_FILES) return null;
  if (env.VK_ICD_FILENAMES && env.VK_ICD_FILENAMES !== chosenDriver) return null;
  const { existsSync } = process.getBuiltinModule('node:fs');
  chosenDriver ??= softwareDrivers.find((path) => existsSync(path));
  if (!chosenDriver) return null;
  env.VK_ICD_FILENAMES = chosenDriver;
  return requestFromDawn(features, chosenDriver);
}
