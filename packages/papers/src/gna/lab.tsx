import { useEffect, useState } from 'react';
import { outline } from '../kit/lab/draw.ts';
import { LabFrame } from '../kit/lab/frame.tsx';
import { boxesAround, outlineTile } from '../kit/lab/overlays.ts';
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
  hidden: ['extraTokens'],
  planning: 'once',
  preset: ({ length: rank }) => ({ queryTile: usualTile(rank), keyTile: usualTile(rank) }),
  hints: (grid) => {
    const most = grid.length === 1 ? Math.min(256, grid[0]) : Math.min(grid.length === 2 ? 24 : 8, ...grid);
    // smaller tiles have lists too long to make while a slider moves
    const tile = [
      { min: 8, max: 256, step: 8 },
      { min: 2, max: 16 },
      { min: 2, max: 8 },
    ][grid.length - 1];
    return {
      window: { min: 2, max: most },
      stride: { min: 1, max: most },
      dilation: { max: 4 },
      queryTile: tile,
      keyTile: tile,
    };
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
      label: 'The same stride with tiles of 6 × 6: now it wastes',
      settings: {
        input: 'boats',
        grid: [48, 48],
        options: { window: [24, 24], stride: [8, 8], queryTile: [6, 6], keyTile: [6, 6] },
      },
    },
  ],
  overlay: (view) => {
    const dilated = view.options.dilation.some((step) => step > 1);
    const tile = outlineTile(
      view.grid,
      dilated ? [] : (view.pattern?.tile(view.query) ?? []),
      view.pattern?.levels(view.query),
    );
    return (context, layout, inks) => {
      tile(context, layout, inks);
      if (dilated || view.grid.length < 2) return;
      for (const box of boxesAround(strideGroup(view), view.grid)) outline(context, layout, box, inks.ink);
    };
  },
  Panels,
};

export function Lab() {
  return <LabFrame spec={spec} />;
}

/** Queries that share the query's window: its neighbours in the stride. */
function strideGroup({ grid, options, query }: LabView<Options>): number[] {
  let rest = query;
  const at: number[] = [];
  for (let axis = grid.length - 1; axis >= 0; axis--) {
    at[axis] = rest % grid[axis];
    rest = Math.floor(rest / grid[axis]);
  }
  return grid.reduce<number[]>(
    (tokens, length, axis) => {
      const stride = options.stride[axis] ?? options.stride[0];
      const first = Math.floor(at[axis] / stride) * stride;
      const count = Math.min(stride, length - first);
      return tokens.flatMap((token) => Array.from({ length: count }, (_, i) => token * length + first + i));
    },
    [0],
  );
}

/** What the simulator says of these options with another stride on all axes; undefined where they do not fit. */
function simulated(view: LabView<Options>, stride?: number) {
  const { options, grid, data } = view;
  const window = grid.map((_, axis) => options.window[axis] ?? options.window[0]);
  const strides = stride === undefined ? options.stride : window.map((size) => Math.min(size, stride));
  try {
    const axes = axesOf('gna', data.shape[2], { ...options, stride: strides });
    const { queryTile = usualTile(axes.length), keyTile = usualTile(axes.length), keyTiling } = options;
    return { axes, queryTile, keyTile, simulation: simulate({ axes, queryTile, keyTile, keyTiling }) };
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
  const measured = result && !stale ? result.numbers.denseMs / result.numbers.attendMs : undefined;
  const log = useLog(
    here && measured !== undefined
      ? {
          what: [perAxis('stride', options.stride, grid), perAxis('window', options.window, grid)].join(', '),
          tiles: `${here.queryTile.join(' × ')}, ${here.keyTile.join(' × ')}`,
          predicted: here.simulation.speedup,
          mean: here.simulation.speedupMean,
          measured,
        }
      : undefined,
  );
  const longest = Math.max(...grid.map((_, axis) => options.window[axis] ?? options.window[0]));
  const strides = Array.from({ length: Math.min(longest, 32) }, (_, i) => i + 1);
  const strip = strides.map((stride) => ({ stride, found: simulated(view, stride)?.simulation }));
  const best = Math.max(1, ...strip.map(({ found }) => found?.speedup ?? 0));
  const current = new Set(options.stride).size === 1 ? options.stride[0] : 0;
  if (!here) return null;
  const { simulation, axes, queryTile, keyTile } = here;
  const dilated = axes.some(({ dilation }) => dilation > 1);
  const runs = dilated ? undefined : simulateRuns(axes, volume(queryTile), volume(keyTile));
  return (
    <section aria-label="Simulator">
      <p className="lab-title">
        Predicted by counting tiles, next to measured: query tiles of {queryTile.join(' × ')}, key tiles of{' '}
        {keyTile.join(' × ')}
      </p>
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
      <Log runs={log} />
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

interface LoggedRun {
  what: string;
  tiles: string;
  predicted: number;
  mean: number;
  measured: number;
}

const LOGGED = 6;

/** The last runs, newest first; the same settings measured again replace themselves. */
function useLog(run: LoggedRun | undefined): readonly LoggedRun[] {
  const [runs, setRuns] = useState<readonly LoggedRun[]>([]);
  const name = run && JSON.stringify(run);
  useEffect(() => {
    if (name === undefined) return;
    const one: LoggedRun = JSON.parse(name);
    setRuns((old) =>
      [one, ...old.filter(({ what, tiles }) => what !== one.what || tiles !== one.tiles)].slice(0, LOGGED),
    );
  }, [name]);
  return runs;
}

/** Predicted beside measured for what the reader has tried: does the count of tiles tell which is faster? */
function Log({ runs }: { runs: readonly LoggedRun[] }) {
  if (runs.length < 2) return null;
  return (
    <table className="lab-table" data-lab="log">
      <caption>What you have tried: times faster than dense</caption>
      <thead>
        <tr>
          <th scope="col">settings</th>
          <th scope="col">tiles of queries, keys</th>
          <th scope="col">predicted, worst tile</th>
          <th scope="col">mean tile</th>
          <th scope="col">measured</th>
        </tr>
      </thead>
      <tbody>
        {runs.map(({ what, tiles, predicted, mean, measured }) => (
          <tr key={`${what} ${tiles}`}>
            <th scope="row">{what}</th>
            <td data-label="tiles">{tiles}</td>
            <td data-label="predicted, worst tile">{three(predicted)}</td>
            <td data-label="mean tile">{three(mean)}</td>
            <td data-label="measured">{three(measured)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const volume = (tile: readonly number[]) => tile.reduce((all, size) => all * size, 1);

/** `stride 8 × 8`, one number an axis. */
const perAxis = (name: string, values: readonly number[], grid: readonly number[]) =>
  `${name} ${grid.map((_, axis) => values[axis] ?? values[0]).join(' × ')}`;
