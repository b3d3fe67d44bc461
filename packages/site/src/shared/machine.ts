/**
 * What readers call an adapter: NVIDIA's driver tells `nvidia, nvidia-h100-80gb-hbm3, NVIDIA: 580.159.04 580.159.4.0`, which
 * is a card, `NVIDIA H100 80GB HBM3`, and its driver. Others are left as they are.
 */
export function adapterInWords(adapter: string): { name: string; driver?: string } {
  const [vendor, device, ...driver] = adapter.split(', ');
  if (!device?.startsWith(`${vendor}-`)) return { name: adapter };
  return {
    name: device.replaceAll('-', ' ').toUpperCase(),
    ...(driver.length > 0 && { driver: driver.join(', ') }),
  };
}
