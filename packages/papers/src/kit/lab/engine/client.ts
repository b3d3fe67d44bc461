import type { DeviceKind } from '@saccade/attention';
import type { TokenInputs } from '../features.ts';
import type { Answer, Failure, Request, Rows, RunResult } from './messages.ts';

export interface EngineEvents {
  progress(fraction: number, what: string): void;
  done(result: RunResult): void;
  rows(rows: Rows): void;
  failed(failure: Failure): void;
  cancelled(): void;
}

/** The page's side of the worker. Only answers to the newest run are passed on. */
export interface Engine {
  run(spec: {
    slug: string;
    options: Record<string, unknown>;
    inputs: TokenInputs;
    device: DeviceKind | 'auto';
    samples: number;
  }): void;
  /** Asks for the attention of one query of the last finished run. */
  row(query: number, head: number | 'all'): void;
  /** Stops the run; a worker that does not answer within 300 ms is replaced. */
  cancel(): void;
  close(): void;
}

/** Time a worker has to say that it stopped. */
const ANSWER_MS = 300;

/** Starts a worker at once, so that the first run finds it ready. */
export function startEngine(events: EngineEvents): Engine {
  let newest = 0;
  let busy = false;
  let finished = 0;
  let waiting: ReturnType<typeof setTimeout> | undefined;
  let worker = spawn();

  function spawn(): Worker {
    // a file of papers/, not of the kit: only it knows which papers there are. Vite wants the address spelt out here
    const made = new Worker(new URL('../../../lab-worker.ts', import.meta.url), { type: 'module' });
    made.onmessage = ({ data }: MessageEvent<Answer>) => take(data);
    made.onerror = (event) => {
      busy = false;
      events.failed({ name: 'Error', message: event.message || 'the lab’s worker could not be started' });
    };
    return made;
  }

  function take(answer: Answer): void {
    switch (answer.type) {
      case 'progress':
        if (answer.id === newest && busy) events.progress(answer.fraction, answer.what);
        break;
      case 'done':
        if (answer.result.id !== newest) break;
        busy = false;
        finished = newest;
        events.done(answer.result);
        break;
      case 'row':
        if (answer.id === finished) events.rows(answer.rows);
        break;
      case 'failed':
        if (answer.id !== newest) break;
        busy = false;
        clearTimeout(waiting);
        events.failed(answer.failure);
        break;
      case 'cancelled':
        if (answer.id !== newest) break; // replaced by a newer run, which is under way
        clearTimeout(waiting);
        if (busy) {
          busy = false;
          events.cancelled();
        }
        break;
      case 'lost':
        if (busy) break; // the run itself fails with the reason
        events.failed({ name: 'DeviceError', message: `the device was lost: ${answer.reason}` });
        break;
    }
  }

  const send = (request: Request) => worker.postMessage(request);

  return {
    run(spec) {
      clearTimeout(waiting);
      newest += 1;
      busy = true;
      send({ type: 'run', id: newest, ...spec });
    },
    row(query, head) {
      if (finished > 0) send({ type: 'row', id: finished, query, head });
    },
    cancel() {
      if (!busy) return;
      send({ type: 'cancel', id: newest });
      waiting = setTimeout(() => {
        worker.terminate();
        worker = spawn();
        busy = false;
        finished = 0;
        events.cancelled();
      }, ANSWER_MS);
    },
    close() {
      clearTimeout(waiting);
      worker.terminate();
    },
  };
}
