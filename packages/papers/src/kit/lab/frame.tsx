import { type DragEvent, useState } from 'react';
import { Choice, ControlPanel } from './control-panel.tsx';
import { DIFFERENCE_GAIN, differenceOf, tokenErrors } from './draw.ts';
import { PicturePane, placeOf, TextPane } from './panes.tsx';
import { percent, Readout } from './readout.tsx';
import {
  type DeviceChoice,
  kindOfGrid,
  LAB_HEADS,
  type Settings,
  type Show,
  samples,
  shows,
} from './settings.ts';
import type { LabSpec, LabView } from './spec.ts';
import { FailureWords } from './trial.tsx';
import { type Status, useLab } from './use-lab.ts';
import './lab.css';

/**
 * The frame that all labs share: the question, the input, the controls, dense attention beside the paper's, what was
 * measured and on what. Mount it in the browser only.
 */
export function LabFrame<O>({ spec }: { spec: LabSpec<O> }) {
  const lab = useLab(spec);
  const { settings, set, view, status } = lab;
  const [over, setOver] = useState(false);
  const main = lab.controls.filter(({ name }) => spec.main.includes(name));
  const rest = lab.controls.filter(({ name }) => !spec.main.includes(name));
  const panel = { values: lab.values, rank: settings.grid.length, onChange: setOption };
  function setOption(name: string, value: unknown) {
    set({ options: { ...settings.options, [name]: value } });
  }
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer.files.length > 0) lab.takeFiles([...event.dataTransfer.files]);
  };
  return (
    <section
      className={over ? 'lab over' : 'lab'}
      aria-label="Lab"
      data-lab-state={status.state}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <p className="lab-question">{spec.question}</p>
      <InputBar spec={spec} settings={settings} sizes={lab.sizes} set={set} takeFiles={lab.takeFiles} />
      <div className="lab-body">
        <div className="lab-main">
          <ControlPanel controls={main} {...panel} />
        </div>
        <div className="lab-scene">
          <Choice label="show" choices={shows} value={settings.show} onChange={(show) => set({ show })} />
          {view ? (
            <Panes spec={spec} view={view} show={settings.show} />
          ) : (
            !lab.problem && <p className="lab-note">Loading the input…</p>
          )}
          <StatusLine
            status={status}
            problem={lab.problem}
            cancel={lab.cancel}
            run={lab.run}
            useProcessor={settings.device === 'wasm' ? undefined : () => set({ device: 'wasm' })}
          />
          {lab.notes.map((note) => (
            <p key={note} className="lab-note">
              {note}
            </p>
          ))}
          {view?.result && <Readout result={view.result} planning={spec.planning} stale={view.stale} />}
        </div>
        <div className="lab-controls">
          <ControlPanel controls={rest} {...panel} />
          {spec.extras && (
            <fieldset className="lab-extras">
              <legend>{spec.extras.title}</legend>
              <ControlPanel controls={spec.extras.controls} {...panel} values={lab.extras} />
            </fieldset>
          )}
          <Choice
            label="attention shown of"
            choices={[
              ['all', 'all heads'] as const,
              ...Array.from({ length: LAB_HEADS }, (_, head) => [String(head), String(head + 1)] as const),
            ]}
            value={String(settings.head)}
            onChange={(head) => set({ head: head === 'all' ? 'all' : Number(head) })}
          />
          {Object.keys(settings.options).length > 0 && (
            <button type="button" className="lab-quiet" onClick={() => set({ options: {} })}>
              Default settings
            </button>
          )}
        </div>
      </div>
      {view && spec.Panels && (
        <div className="lab-panels">
          <spec.Panels view={view} />
        </div>
      )}
      <div className="lab-tries">
        <span>Try this:</span>
        {spec.tries.map(({ label, settings: change }) => (
          <button key={label} type="button" onClick={() => set({ options: {}, ...change })}>
            {label}
          </button>
        ))}
      </div>
      <p className="lab-honest">
        Queries and keys are fixed features of the {noun(settings)}, not a trained model: colour, texture,
        letters and place. A key weighs more the more it resembles the query, so dense attention is a
        non-local mean. Everything runs in this browser; a file of yours never leaves it.
      </p>
    </section>
  );
}

const noun = (settings: Settings) => {
  const kind = kindOfGrid(settings.grid);
  return kind === 'image' ? 'picture' : kind;
};

function InputBar<O>(props: {
  spec: LabSpec<O>;
  settings: Settings;
  sizes: ReturnType<typeof useLab>['sizes'];
  set(change: Partial<Settings>): void;
  takeFiles(files: readonly File[]): void;
}) {
  const { spec, settings, sizes, set, takeFiles } = props;
  const kinds = spec.paper.inputs;
  const offered = samples.filter(({ kind }) => kinds.includes(kind));
  const grids = sizes[kindOfGrid(settings.grid)];
  const accept = kinds
    .map((kind) => (kind === 'image' ? 'image/*' : kind === 'clip' ? 'image/*,video/*' : 'text/*,.txt,.md'))
    .join(',');
  return (
    <div className="lab-bar">
      <Choice
        label="input"
        choices={[
          ...offered.map(({ id, label }) => [id, label] as const),
          ...(settings.input === 'own' ? [['own', 'yours'] as const] : []),
        ]}
        value={settings.input}
        onChange={(input) => set({ input })}
      />
      <label className="lab-file">
        <input
          type="file"
          accept={accept}
          multiple={kinds.includes('clip')}
          onChange={(event) => {
            const files = [...(event.currentTarget.files ?? [])];
            event.currentTarget.value = '';
            if (files.length > 0) takeFiles(files);
          }}
        />
        <span>Your own file… (or drop it here)</span>
      </label>
      <label className="lab-select">
        <span>tokens</span>
        <select
          value={settings.grid.join('x')}
          onChange={(event) => set({ grid: event.currentTarget.value.split('x').map(Number) })}
        >
          {grids.map((grid) => (
            <option key={grid.join('x')} value={grid.join('x')}>
              {grid.length > 1 ? `${grid.join(' × ')} = ` : ''}
              {grid.reduce((all, size) => all * size, 1)}
            </option>
          ))}
        </select>
      </label>
      <label className="lab-select">
        <span>runs on</span>
        <select
          value={settings.device}
          onChange={(event) => set({ device: event.currentTarget.value as DeviceChoice })}
        >
          <option value="auto">best here</option>
          <option value="webgpu">WebGPU</option>
          <option value="wasm">WebAssembly</option>
        </select>
      </label>
    </div>
  );
}

function Panes<O>({ spec, view, show }: { spec: LabSpec<O>; view: LabView<O>; show: Show }) {
  const { grid, query, pattern, result, rows, data, pieces, head } = view;
  const levels = pattern?.levels(query, head === 'all' ? 0 : head);
  let visited = 0;
  let seen = 0;
  for (const level of levels ?? []) {
    if (level > 0) visited++;
    if (level === 2) seen++;
  }
  const wasted = visited - seen;
  const tokens = data.shape[2];
  const denseCaption = pattern?.attended.causal
    ? `${placeOf(grid, query)} looks at the ${query + 1} tokens up to it`
    : `${placeOf(grid, query)} looks at all ${tokens} tokens`;
  const caption = levels
    ? `looks at ${seen} of ${tokens} (${percent(seen / tokens)})${wasted > 0 ? `, and visits ${wasted} more for nothing` : ''}`
    : '';
  const shared = { grid, query, onQuery: view.selectQuery };
  const plain = show !== 'attention' && result !== undefined;
  if (pieces)
    return (
      <div className="lab-panes">
        <TextPane
          {...shared}
          title="Dense"
          caption={denseCaption}
          pieces={pieces}
          weights={plain ? undefined : rows?.dense}
        />
        <TextPane
          {...shared}
          title={spec.paper.slug}
          caption={plain ? 'darker where the output is further from dense' : caption}
          pieces={pieces}
          levels={plain ? undefined : levels}
          weights={plain ? tokenErrors(result.output, result.dense, data.shape) : rows?.mechanism}
        />
      </div>
    );
  const picture = { shape: data.shape, head, plain };
  const difference = show === 'difference' && result;
  return (
    <div className="lab-panes">
      <PicturePane
        {...shared}
        {...picture}
        title="Dense"
        caption={plain ? 'the output of all tokens' : denseCaption}
        picture={result?.dense ?? data.value}
        weights={rows?.dense}
      />
      <PicturePane
        {...shared}
        {...picture}
        title={spec.paper.slug}
        caption={
          difference
            ? `minus dense, ${DIFFERENCE_GAIN} times as large; grey where they agree`
            : plain
              ? 'the output of all tokens'
              : caption
        }
        picture={
          difference
            ? differenceOf(difference.output, difference.dense, data.shape[3])
            : (result?.output ?? data.value)
        }
        levels={levels}
        weights={rows?.mechanism}
        overlay={spec.overlay?.(view)}
      />
    </div>
  );
}

function StatusLine(props: {
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
