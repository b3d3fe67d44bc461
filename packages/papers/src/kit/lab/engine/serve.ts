import { type Device, type DeviceKind, openDevice } from '@saccade/attention';
import { type Comparison, compare } from '../../compare.ts';
import type { Inputs, Paper } from '../../paper.ts';
import type { Answer, Failure, Job, Machine, Request } from './messages.ts';

const scope = self as unknown as {
  postMessage(answer: Answer, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<Request>) => void) | null;
};

type Opened = { device: Device; note: string };
type Asked = DeviceKind | 'auto';

/** The reader is not kept waiting for more samples than fit in this. */
const PATIENCE_MS = 2000;

let find: (slug: string) => Paper | undefined = () => undefined;
/** Open devices by what was asked for: a trial may want another than the lab runs on. */
const opened = new Map<Asked, Opened>();
/** Jobs under way or waiting their turn. */
const jobs = new Map<number, AbortController>();
let last: { id: number; compared: Comparison } | undefined;
let queue: Promise<void> = Promise.resolve();

/**
 * The engine room of a lab, in a worker: opens a device once, runs, answers. One job at a time; a new run cancels all
 * before it.
 * @param findPaper the runnable paper of a slug: the kit itself knows no paper
 */
export function serveLab(findPaper: (slug: string) => Paper | undefined): void {
  find = findPaper;
  scope.onmessage = ({ data }) => take(data);
}

function take(request: Request): void {
  switch (request.type) {
    case 'run':
      for (const job of jobs.values()) job.abort(new DOMException('replaced by a newer run', 'AbortError'));
      start(request);
      break;
    case 'trial':
      start(request);
      break;
    case 'cancel': {
      const job = jobs.get(request.id);
      if (job) job.abort(new DOMException('cancelled by the reader', 'AbortError'));
      else scope.postMessage({ type: 'cancelled', id: request.id });
      break;
    }
    case 'row':
      if (last?.id === request.id) {
        const rows = last.compared.rows(request.query, request.head);
        scope.postMessage({ type: 'row', id: request.id, rows }, [rows.dense.buffer, rows.mechanism.buffer]);
      }
      break;
  }
}

function start(request: Extract<Request, Job>): void {
  const abort = new AbortController();
  jobs.set(request.id, abort);
  queue = queue.then(() => work(request, abort.signal)).finally(() => jobs.delete(request.id));
}

async function work(request: Extract<Request, Job>, signal: AbortSignal): Promise<void> {
  const { id, inputs: given } = request;
  const progress = (fraction: number, what: string, value?: unknown) =>
    scope.postMessage({ type: 'progress', id, fraction, what, value });
  let inputs: Inputs | undefined;
  try {
    signal.throwIfAborted();
    progress(0.01, 'opening the device');
    const paper = find(request.slug);
    if (!paper) throw new Error(`no paper named ${request.slug} runs in this version`);
    const options = paper.options.parse(request.options);
    // what a trial opened, or the reader left, holds threads and memory
    if (request.type === 'run')
      for (const other of [...opened.keys()]) if (other !== request.device) await drop(other);
    const { device, note } = await deviceFor(request.device);
    const machine: Machine = { kind: device.kind, tier: device.tier, description: device.description, note };
    progress(0.05, 'copying the input to the device');
    inputs = {
      query: device.tensor(given.query, given.shape),
      key: device.tensor(given.key, given.shape),
      value: device.tensor(given.value, given.shape),
    };
    if (request.type === 'trial') {
      const trial = (await paper.trials?.())?.[request.name];
      if (!trial) throw new Error(`${request.slug} has no trial named ${request.name}`);
      const { settings } = request;
      const value = await trial({ device, inputs, data: given, options, settings, signal, progress });
      signal.throwIfAborted();
      scope.postMessage({ type: 'trial', id, value, machine });
      return;
    }
    const compared = await compare(device, inputs, await paper.mechanism(), options, {
      samples: request.samples,
      patienceMs: PATIENCE_MS,
      signal,
      progress,
    });
    last = { id, compared };
    const { numbers } = compared;
    const [dense, output] = [compared.dense, compared.output].map((read) =>
      read instanceof Float32Array ? read : Float32Array.from(read),
    );
    scope.postMessage({
      type: 'done',
      result: { id, shape: given.shape, dense, output, numbers, machine },
    });
  } catch (error) {
    if (signal.aborted) scope.postMessage({ type: 'cancelled', id });
    else {
      const failure = failureOf(error);
      // a device that failed once may be gone: the next try opens a new one
      if (failure.name === 'DeviceError') await drop(request.device);
      scope.postMessage({ type: 'failed', id, failure });
    }
  } finally {
    for (const tensor of Object.values(inputs ?? {})) tensor?.dispose();
  }
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message } = error;
  return { name, message, lost: name === 'DeviceError' && /device was lost/.test(message) };
}

/** The device asked for; `auto` is WebGPU on real hardware, else WebAssembly, which is faster than WebGPU in software. */
async function openBest(): Promise<Opened> {
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

async function deviceFor(asked: Asked): Promise<Opened> {
  const known = opened.get(asked);
  if (known) return known;
  const mine = asked === 'auto' ? await openBest() : { device: await openDevice(asked), note: '' };
  opened.set(asked, mine);
  mine.device.lost.then((reason) => {
    if (opened.get(asked) !== mine) return;
    opened.delete(asked);
    scope.postMessage({ type: 'lost', reason });
  });
  return mine;
}

async function drop(asked: Asked): Promise<void> {
  const gone = opened.get(asked);
  opened.delete(asked);
  // a lost device may refuse to close; there is nothing left to free then
  await gone?.device.close().catch(() => {});
}
