import { FailureWords } from './trial.tsx';
import type { Status } from './use-lab.ts';

/** How the run stands, what stops or repeats it, and what went wrong. */
export function StatusLine(props: {
  status: Status;
  problem?: string;
  cancel(): void;
  run(): void;
  /** Where the lab runs on a GPU: the way on without it. */
  useProcessor?(): void;
}) {
  const { status, problem, cancel, run, useProcessor } = props;
  if (problem)
    return (
      <p className="lab-problem" role="alert">
        {problem}
      </p>
    );
  switch (status.state) {
    case 'running':
      return (
        <div className="lab-status" role="status">
          <progress value={status.fraction} max={1} aria-label="Progress of the run" />
          <span>{status.what}</span>
          <button type="button" onClick={cancel}>
            Cancel
          </button>
        </div>
      );
    case 'failed':
      return (
        <div className="lab-problem" role="alert">
          <FailureWords failure={status.failure} />
          <div className="lab-status">
            <button type="button" onClick={run}>
              Try again
            </button>
            {useProcessor && status.failure.name === 'DeviceError' && (
              <button type="button" onClick={useProcessor}>
                Go on with WebAssembly
              </button>
            )}
          </div>
        </div>
      );
    case 'cancelled':
      return (
        <div className="lab-status" role="status">
          <span>Cancelled: the numbers below are of the last finished run.</span>
          <button type="button" onClick={run}>
            Run
          </button>
        </div>
      );
    default:
      return (
        <div className="lab-status" role="status">
          <span>{status.state === 'done' ? 'Measured on this machine.' : 'Waiting.'}</span>
          <button type="button" onClick={run}>
            Run again
          </button>
        </div>
      );
  }
}
