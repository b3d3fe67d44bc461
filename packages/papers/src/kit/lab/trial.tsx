import type { DeviceKind } from '@saccade/attention';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { Trial } from '../paper.ts';
import type { Failure, Machine } from './engine/messages.ts';
import type { LabView } from './spec.ts';

/** How a trial stands. `value` is the last that is known: while it runs, what there is so far. */
export interface TrialState<Value> {
  state: 'waiting' | 'running' | 'done' | 'cancelled' | 'failed';
  fraction: number;
  what: string;
  failure?: Failure;
  value?: Value;
  machine?: Machine;
  /** The value is of other settings, options or of another input than are shown now. */
  stale: boolean;
  run(): void;
  cancel(): void;
}

/**
 * One of the paper's trials, run in the lab's worker when the reader asks for it.
 * @param device where it must run; otherwise where the lab does
 */
export function useTrial<T extends Trial<never, never, unknown>>(
  view: LabView<unknown>,
  name: string,
  settings: Parameters<T>[0]['settings'],
  device?: DeviceKind,
): TrialState<Awaited<ReturnType<T>>> {
  type Value = Awaited<ReturnType<T>>;
  const [known, setKnown] = useState<
    Pick<TrialState<Value>, 'state' | 'fraction' | 'what' | 'failure' | 'value' | 'machine'> & {
      of?: unknown[];
    }
  >({ state: 'waiting', fraction: 0, what: '' });
  const stop = useRef<() => void>(undefined);
  useEffect(() => () => stop.current?.(), []);
  const of = [view.options, view.data, JSON.stringify(settings)];
  return {
    ...known,
    stale: known.of?.some((one, i) => one !== of[i]) ?? false,
    run: () => {
      stop.current?.();
      setKnown({ state: 'running', fraction: 0, what: 'waiting for its turn', of });
      stop.current = view.startTrial(
        { name, settings, device },
        {
          progress: (fraction, what, value) =>
            setKnown((old) => ({
              ...old,
              fraction,
              what,
              ...(value !== undefined && { value: value as Value }),
            })),
          end: (end) =>
            setKnown((old) =>
              end.state === 'done'
                ? { ...old, state: 'done', value: end.value as Value, machine: end.machine }
                : { ...old, ...end },
            ),
        },
      );
      if (!stop.current) setKnown({ state: 'waiting', fraction: 0, what: '' });
    },
    cancel: () => stop.current?.(),
  };
}

/** The button that starts a trial, how far it is, and what went wrong. */
export function TrialBar<Value>({
  trial,
  label,
  children,
}: {
  trial: TrialState<Value>;
  /** What the button does, in words. */
  label: string;
  /** Controls beside the button. */
  children?: ReactNode;
}) {
  const { state, fraction, what, failure, machine, stale } = trial;
  return (
    <>
      <div className="lab-status" role="status" data-trial-state={state}>
        {state === 'running' ? (
          <>
            <progress value={fraction} max={1} aria-label={`Progress: ${label}`} />
            <span>{what}</span>
            <button type="button" onClick={trial.cancel}>
              Cancel
            </button>
          </>
        ) : (
          <>
            <button type="button" onClick={trial.run}>
              {state === 'done' || state === 'cancelled' ? `${label} again` : label}
            </button>
            {children}
            {state === 'cancelled' && <span>Cancelled.</span>}
            {state === 'done' && machine && (
              <span>{stale ? 'These are of other settings.' : `On ${machine.description}.`}</span>
            )}
          </>
        )}
      </div>
      {state === 'failed' && failure && (
        <div className="lab-problem" role="alert">
          <FailureWords failure={failure} />
        </div>
      )}
    </>
  );
}

/** What went wrong, for the reader. */
export function FailureWords({ failure }: { failure: Failure }) {
  if (!failure.lost) return <p>{failure.message}</p>;
  return (
    <>
      <p>
        The graphics device was lost. Input and settings are still here, and so is what was measured before;
        another try opens the device anew.
      </p>
      <p className="lab-note">{failure.message}</p>
    </>
  );
}
