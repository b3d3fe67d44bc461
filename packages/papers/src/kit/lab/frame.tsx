import { type DragEvent, useState } from 'react';
import { Choice, ControlPanel } from './control-panel.tsx';
import { DIFFERENCE_GAIN, differenceOf, tokenErrors } from './draw.ts';
import { InputBar } from './input-bar.tsx';
import { PicturePane, placeOf, TextPane } from './panes.tsx';
import { percent, Readout } from './readout.tsx';
import { kindOfGrid, LAB_HEADS, type Settings, type Show, shows } from './settings.ts';
import type { LabSpec, LabView } from './spec.ts';
import { StatusLine } from './status-line.tsx';
import { useLab } from './use-lab.ts';
import './lab.css';
import './panels.css';

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
