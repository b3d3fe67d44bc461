import type { Rows } from '../../compare.ts';
import type { Answer, Failure, Job, Machine, Request, RunResult } from './messages.ts';

export interface EngineEvents {
  progress(fraction: number, what: string): void;
  done(result: RunResult): void;
  rows(rows: Rows): void;
  failed(failure: Failure): void;
  cancelled(): void;
}

/** What became of a trial. */
export type TrialEnd =
  | { state: 'done'; value: unknown; machine: Machine }
  | { state: 'failed'; failure: Failure }
  | { state: 'cancelled' };

export interface TrialEvents {
  /** `value` is what the trial has so far, if it says so. */
  progress(fraction: number, what: string, value: unknown): void;
  end(end: TrialEnd): void;
}

/** The page's side of the worker. Only answers to the newest run are passed on. */
export interface Engine {
  run(spec: Omit<Job, 'id'> & { samples: number }): void;
  /** One of the paper's trials, after what is under way; a newer run cancels it. @returns what cancels it */
  trial(spec: Omit<Job, 'id'> & { name: string; settings: unknown }, events: TrialEvents): () => void;
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
  let ids = 0;
  let newest = 0;
  let busy = false;
  let finished = 0;
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const trials = new Map<number, TrialEvents>();
  let worker: Worker | undefined = spawn();

  function spawn(): Worker {
    // a file of papers/, not of the kit: only it knows which papers there are. Vite wants the address spelt out here
    const made = new Worker(new URL('../../../lab-worker.ts', import.meta.url), { type: 'module' });
    made.onmessage = ({ data }: MessageEvent<Answer>) => take(data);
    made.onerror = (event) => {
      const failure = { name: 'Error', message: event.message || 'the lab’s worker could not be started' };
      end({ state: 'failed', failure });
      events.failed(failure);
    };
    return made;
  }

  /** Ends a worker that cannot go on, with all that it had in hand; the next request starts another. */
  function end(trialEnd: TrialEnd): void {
    worker?.terminate();
    worker = undefined;
    busy = false;
    finished = 0;
    for (const id of [...trials.keys()]) endTrial(id, trialEnd);
  }

  function endTrial(id: number, end: TrialEnd): boolean {
    const trial = trials.get(id);
    trials.delete(id);
    trial?.end(end);
    return trial !== undefined;
  }

  function take(answer: Answer): void {
    switch (answer.type) {
      case 'progress':
        if (answer.id === newest && busy) events.progress(answer.fraction, answer.what);
        trials.get(answer.id)?.progress(answer.fraction, answer.what, answer.value);
        break;
      case 'done':
        if (answer.result.id !== newest) break;
        busy = false;
        finished = newest;
        events.done(answer.result);
        break;
      case 'trial':
        endTrial(answer.id, { state: 'done', value: answer.value, machine: answer.machine });
        break;
      case 'row':
        if (answer.id === finished) events.rows(answer.rows);
        break;
      case 'failed':
        if (endTrial(answer.id, { state: 'failed', failure: answer.failure }) || answer.id !== newest) break;
        busy = false;
        clearTimeout(waiting);
        events.failed(answer.failure);
        break;
      case 'cancelled':
        clearTimeout(waiting);
        if (endTrial(answer.id, { state: 'cancelled' })) break;
        if (answer.id !== newest) break; // replaced by a newer run, which is under way
        if (busy) {
          busy = false;
          events.cancelled();
        }
        break;
      case 'lost':
        if (busy || trials.size > 0) break; // the job itself fails with the reason
        events.failed({
          name: 'DeviceError',
          message: `the device was lost: ${answer.reason}`,
          lost: true,
        });
        break;
    }
  }

  const send = (request: Request) => {
    worker ??= spawn();
    worker.postMessage(request);
  };

  function cancel(id: number): void {
    send({ type: 'cancel', id });
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const running = busy;
      end({ state: 'cancelled' });
      worker = spawn();
      if (running) events.cancelled();
    }, ANSWER_MS);
  }

  return {
    run(spec) {
      clearTimeout(waiting);
      newest = ++ids;
      busy = true;
      send({ type: 'run', id: newest, ...spec });
    },
    trial(spec, trial) {
      const id = ++ids;
      trials.set(id, trial);
      send({ type: 'trial', id, ...spec });
      return () => {
        if (trials.has(id)) cancel(id);
      };
    },
    row(query, head) {
      if (finished > 0) send({ type: 'row', id: finished, query, head });
    },
    cancel() {
      if (busy) cancel(newest);
    },
    close() {
      clearTimeout(waiting);
      worker?.terminate();
    },
  };
}
