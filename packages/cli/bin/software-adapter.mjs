// Plain JavaScript that old Node versions run too: the scripts of the repository and the command both start with it.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';

// SwiftShader is the software Vulkan driver that Chromium and Chrome bring along; Dawn accepts it.
const drivers = [
  '/usr/lib/chromium/vk_swiftshader_icd.json',
  '/usr/lib/chromium-browser/vk_swiftshader_icd.json',
  '/usr/lib64/chromium-browser/vk_swiftshader_icd.json',
  '/usr/lib64/chromium/vk_swiftshader_icd.json',
  '/snap/chromium/current/usr/lib/chromium-browser/vk_swiftshader_icd.json',
  '/opt/google/chrome/vk_swiftshader_icd.json',
  '/opt/microsoft/msedge/vk_swiftshader_icd.json',
];

/** Path of SwiftShader's Vulkan driver file, or undefined where there is none. */
export function findSoftwareDriver() {
  return drivers.find((path) => existsSync(path));
}

/** Whether the kernel shows a graphics device that a Vulkan driver could use. */
export function hasGraphicsDevice() {
  return ['/dev/dri', '/dev/nvidia0', '/dev/dxg'].some((path) => existsSync(path));
}

/**
 * Changes `env` so that Dawn finds an adapter on a Linux machine without a GPU. A choice made by the
 * caller's environment stays; where there is a GPU the software driver is only added, so the GPU is preferred.
 */
export function offerSoftwareDriver(env = process.env) {
  if (process.platform !== 'linux') return env;
  // The Vulkan loader complains on every start without it.
  if (!env.XDG_RUNTIME_DIR) env.XDG_RUNTIME_DIR = tmpdir();
  if (env.VK_ICD_FILENAMES || env.VK_DRIVER_FILES || env.VK_ADD_DRIVER_FILES) return env;
  const driver = findSoftwareDriver();
  if (driver) env[hasGraphicsDevice() ? 'VK_ADD_DRIVER_FILES' : 'VK_ICD_FILENAMES'] = driver;
  return env;
}
