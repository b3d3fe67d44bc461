import { LabFrame } from '../kit/lab/frame.tsx';
import { outlineTile } from '../kit/lab/overlays.ts';
import { Fact, faster, percent, three } from '../kit/lab/readout.tsx';
import type { LabSpec, LabView } from '../kit/lab/spec.ts';
import { TileMap } from '../kit/lab/tile-map.tsx';
import { axesOf, usualTile } from '../kit/windows.ts';
import { type Options, paper } from './paper.ts';
import { simulate, simulateRuns } from './simulator.ts';

const spec: LabSpec<Options> = {
  paper,
  question:
    'A window may slide by one token or jump by many: which stride wastes nothing on a tiled machine?',
  main: ['stride', 'window'],
  hidden: ['extraTokens', 'queryTile', 'keyTile'],
  planning: 'once',
  hints: (grid) => {
    const most = grid.length === 1 ? Math.min(256, grid[0]) : Math.min(grid.length === 2 ? 24 : 8, ...grid);
    return { window: { min: 2, max: most }, stride: { min: 1, max: most }, dilation: { max: 4 } };
  },
  tries: [
    {
      label: 'Stride 1: the window slides',
      settings: { input: 'boats', grid: [48, 48], options: { window: [16, 16], stride: [1, 1] } },
    },
    {
      label: 'Stride 8: tiles and windows meet, nothing is wasted',
      settings: { input: 'boats', grid: [48, 48], options: { window: [24, 24], stride: [8, 8] } },
    },
    {
      label: 'Stride = window: separate blocks',
      settings: { input: 'boats', grid: [48, 48], options: { window: [16, 16], stride: [16, 16] } },
    },
  ],
  overlay: (view) =>
    outlineTile(
      view.grid,
      view.options.dilation.some((step) => step > 1) ? [] : (view.pattern?.tile(view.query) ?? []),
      view.pattern?.levels(view.query),
    ),
  Panels,
};

export function Lab() {
  return <LabFrame spec={spec} />;
}

/** What the simulator says of these options with another stride on all axes; undefined where they do not fit. */
function simulated(view: LabView<Options>, stride?: number) {
  const { options, grid, data } = view;
  const window = grid.map((_, axis) => options.window[axis] ?? options.window[0]);
  const strides = stride === undefined ? options.stride : window.map((size) => Math.min(size, stride));
  try {
    const axes = axesOf('gna', data.shape[2], { ...options, stride: strides });
    const tile = [...usualTile(axes.length)];
    return {
      axes,
      tile,
      simulation: simulate({
        axes,
        queryTile: options.queryTile ?? tile,
        keyTile: options.keyTile ?? tile,
        keyTiling: options.keyTiling,
      }),
    };
  } catch {
    return undefined; // the frame says what does not fit
  }
}

function Panels({ view }: { view: LabView<Options> }) {
  return (
    <>
      <Simulator view={view} />
      {view.pattern && <TileMap pattern={view.pattern} query={view.query} tokens={view.data.shape[2]} />}
    </>
  );
}

function Simulator({ view }: { view: LabView<Options> }) {
  const { options, grid, result, stale } = view;
  const here = simulated(view);
  const longest = Math.max(...grid.map((_, axis) => options.window[axis] ?? options.window[0]));
  const strides = Array.from({ length: Math.min(longest, 32) }, (_, i) => i + 1);
  const strip = strides.map((stride) => ({ stride, found: simulated(view, stride)?.simulation }));
  const best = Math.max(1, ...strip.map(({ found }) => found?.speedup ?? 0));
  const current = new Set(options.stride).size === 1 ? options.stride[0] : 0;
  if (!here) return null;
  const { simulation, axes, tile } = here;
  const tileSize = tile.reduce((all, size) => all * size, 1);
  const dilated = axes.some(({ dilation }) => dilation > 1);
  const runs = dilated ? undefined : simulateRuns(axes, tileSize, tileSize);
  const measured = result && !stale ? result.numbers.denseMs / result.numbers.attendMs : undefined;
  return (
    <section aria-label="Simulator">
      <p className="lab-title">Predicted by counting tiles of {tile.join(' × ')}, next to measured</p>
      <dl>
        <Fact name="By operations">
          {three(simulation.flopwise)} times faster: tokens over window, what no kernel passes
        </Fact>
        <Fact name="By tiles, worst">
          <b>{three(simulation.speedup)}</b> times faster: the query tile that visits most decides
        </Fact>
        <Fact name="By tiles, mean">{three(simulation.speedupMean)} times faster</Fact>
        {runs && (
          <Fact name="Runs instead of boxes">
            {three(runs.speedup)} times faster: tiles that know no axes
          </Fact>
        )}
        <Fact name="Measured here">
          {measured === undefined ? 'waiting for the run' : faster(measured, 1)}
        </Fact>
        <Fact name="Wasted scores">
          {simulation.perfect ? 'none: perfectly block-sparse' : percent(simulation.wasted)}
        </Fact>
      </dl>
      <p className="lab-title">Predicted speed-up of each stride (the same on all axes; ★ wastes nothing)</p>
      <div className="lab-strip">
        {strip.map(({ stride, found }) => (
          <button
            key={stride}
            type="button"
            disabled={!found}
            aria-pressed={stride === current}
            style={
              { '--weight': `${found ? Math.round((45 * found.speedup) / best) : 0}%` } as React.CSSProperties
            }
            onClick={() =>
              view.setOption(
                'stride',
                grid.map((_, axis) => Math.min(stride, options.window[axis] ?? options.window[0])),
              )
            }
          >
            <span>{stride}</span>
            <small>
              {found ? `${three(found.speedup)}×` : '–'}
              {found?.perfect ? ' ★' : ''}
            </small>
          </button>
        ))}
      </div>
    </section>
  );
}
