import { type Device, type DeviceKind, openDevice } from '@saccade/attention';
import type { Paper } from '../../paper.ts';
import { type Measured, measure } from './measure.ts';
import type { Answer, Machine, Request } from './messages.ts';

const scope = self as unknown as {
  postMessage(answer: Answer, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<Request>) => void) | null;
};

let find: (slug: string) => Paper | undefined = () => undefined;
let opened: { asked: DeviceKind | 'auto'; device: Device; note: string } | undefined;
let current: { id: number; abort: AbortController } | undefined;
let last: { id: number; measured: Measured } | undefined;
let queue: Promise<void> = Promise.resolve();

/**
 * The engine room of a lab, in a worker: opens a device once, runs, answers. One run at a time; a new one cancels the
 * last.
 * @param findPaper the runnable paper of a slug: the kit itself knows no paper
 */
export function serveLab(findPaper: (slug: string) => Paper | undefined): void {
  find = findPaper;
  scope.onmessage = ({ data }) => take(data);
}

function take(request: Request): void {
  switch (request.type) {
    case 'run':
      current?.abort.abort(new DOMException('replaced by a newer run', 'AbortError'));
      queue = queue.then(() => run(request));
      break;
    case 'cancel':
      if (current?.id === request.id)
        current.abort.abort(new DOMException('cancelled by the reader', 'AbortError'));
      else scope.postMessage({ type: 'cancelled', id: request.id });
      break;
    case 'row':
      if (last?.id === request.id) {
        const rows = last.measured.rows(request.query, request.head);
        scope.postMessage({ type: 'row', id: request.id, rows }, [rows.dense.buffer, rows.mechanism.buffer]);
      }
      break;
  }
}

async function run(request: Extract<Request, { type: 'run' }>): Promise<void> {
  const { id } = request;
  const abort = new AbortController();
  current = { id, abort };
  try {
    const progress = (fraction: number, what: string) =>
      scope.postMessage({ type: 'progress', id, fraction, what });
    progress(0.01, 'opening the device');
    const paper = find(request.slug);
    if (!paper) throw new Error(`no paper named ${request.slug} runs in this version`);
    const options = paper.options.parse(request.options);
    const { device, note } = await deviceFor(request.device);
    const measured = await measure(device, paper, options, request.inputs, {
      samples: request.samples,
      signal: abort.signal,
      progress,
    });
    last = { id, measured };
    const machine: Machine = { kind: device.kind, tier: device.tier, description: device.description, note };
    const { dense, output, numbers } = measured;
    scope.postMessage({
      type: 'done',
      result: { id, shape: request.inputs.shape, dense, output, numbers, machine },
    });
  } catch (error) {
    if (abort.signal.aborted) scope.postMessage({ type: 'cancelled', id });
    else {
      const failure =
        error instanceof Error
          ? { name: error.name, message: error.message }
          : { name: 'Error', message: String(error) };
      // a device that failed once may be gone: the next try opens a new one
      if (failure.name === 'DeviceError') await drop();
      scope.postMessage({ type: 'failed', id, failure });
    }
  } finally {
    current = undefined;
  }
}

/** The device asked for; `auto` is WebGPU on real hardware, else WebAssembly, which is faster than WebGPU in software. */
async function openBest(): Promise<{ device: Device; note: string }> {
  const found = await openDevice('auto');
  if (found.kind === 'wasm') {
    const because =
      'gpu' in navigator ? 'This browser has WebGPU but no adapter for it' : 'This browser has no WebGPU';
    return { device: found, note: `${because}, so the lab runs on the processor by WebAssembly.` };
  }
  if (found.capabilities.software !== true) return { device: found, note: '' };
  const wasm = await openDevice('wasm').catch(() => undefined);
  if (!wasm) return { device: found, note: 'WebGPU runs in software here: times say little about a GPU.' };
  await found.close();
  return {
    device: wasm,
    note: `The only WebGPU adapter here is software (${found.description}), so the lab runs by WebAssembly, which is faster.`,
  };
}

async function deviceFor(asked: DeviceKind | 'auto'): Promise<{ device: Device; note: string }> {
  if (opened?.asked === asked) return opened;
  await drop();
  const { device, note } =
    asked === 'auto' ? await openBest() : { device: await openDevice(asked), note: '' };
  const mine = { asked, device, note };
  opened = mine;
  device.lost.then((reason) => {
    if (opened === mine) {
      opened = undefined;
      scope.postMessage({ type: 'lost', reason });
    }
  });
  return mine;
}

async function drop(): Promise<void> {
  const gone = opened;
  opened = undefined;
  // a lost device may refuse to close; there is nothing left to free then
  await gone?.device.close().catch(() => {});
}
