import { cpus, release, totalmem } from 'node:os';
import { type DeviceKind, openDevice } from '@saccade/attention';
import { type Context, printJson } from '../console.ts';

/** `saccade devices`: what this machine offers, and why not where it does not. */
export async function devices(context: Context): Promise<void> {
  const found = [];
  for (const kind of ['webgpu', 'wasm', 'reference'] as const satisfies readonly DeviceKind[]) {
    context.signal.throwIfAborted();
    try {
      const device = await openDevice(kind);
      const { tier, description, capabilities } = device;
      found.push({ device: kind, available: true, tier, description, capabilities });
      await device.close();
    } catch (error) {
      found.push({ device: kind, available: false, reason: (error as Error).message });
    }
  }
  if (context.json) {
    printJson(context, found);
    return;
  }
  const out = (text: string) => context.console.out(`${text}\n`);
  const processors = cpus();
  out(
    `${processors[0]?.model ?? process.arch}, ${processors.length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${release()}, Node ${process.versions.node}`,
  );
  for (const one of found) {
    out(
      `\n${one.device}: ${one.available ? `${one.description}, tier ${one.tier}` : `not available. ${one.reason}`}`,
    );
    for (const [name, value] of Object.entries(one.capabilities ?? {})) out(`  ${name}: ${value}`);
  }
}
