import { useState } from 'react';
import { Switch } from '../kit/lab/control-panel.tsx';
import { LabFrame } from '../kit/lab/frame.tsx';
import { Lanes } from '../kit/lab/lanes.tsx';
import { outlineTile } from '../kit/lab/overlays.ts';
import { bytes, Fact, milliseconds, percent, three } from '../kit/lab/readout.tsx';
import type { LabSpec, LabView } from '../kit/lab/spec.ts';
import { TileMap } from '../kit/lab/tile-map.tsx';
import { TrialBar, useTrial } from '../kit/lab/trial.tsx';
import { type Options, paper } from './paper.ts';
import type { LaneName, race } from './race.ts';

const spec: LabSpec<Options> = {
  paper,
  question: 'How small a neighbourhood can each token look at before the picture it makes is another one?',
  main: ['window'],
  hidden: ['relativeBias'],
  planning: 'once',
  hints: (grid) => {
    const shortest = Math.min(...grid);
    const most = grid.length === 1 ? Math.min(255, shortest) : Math.min(31, shortest);
    return {
      window: { min: 3, max: most - 1 + (most % 2), step: 2 },
      dilation: { max: grid.length === 3 ? 3 : 6 },
    };
  },
  tries: [
    {
      label: 'Three by three: the smallest window',
      settings: { input: 'boats', grid: [48, 48], options: { window: [3, 3] } },
    },
    {
      label: 'The same cost spread out: dilation 4',
      settings: { input: 'boats', grid: [48, 48], options: { window: [9, 9], dilation: [4, 4] } },
    },
    {
      label: 'A clip that never looks ahead: causal in time',
      settings: {
        input: 'cat',
        grid: [12, 10, 16],
        options: { window: [5, 5, 5], causal: [true, false, false] },
      },
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

function Panels({ view }: { view: LabView<Options> }) {
  return (
    <>
      <Race view={view} />
      {view.pattern && <TileMap pattern={view.pattern} query={view.query} tokens={view.data.shape[2]} />}
      <Cost view={view} />
    </>
  );
}

const forms: Record<LaneName, string> = {
  naive: 'Naive: a thread a pair',
  unfused: 'Unfused: tiles of a matrix product',
  fused: 'Fused: one kernel',
  dense: 'Dense, for comparison',
};

/** The three forms of the paper on the reader's device, lap by lap. */
function Race({ view }: { view: LabView<Options> }) {
  const [dense, setDense] = useState(false);
  const trial = useTrial<typeof race>(view, 'race', { dense }, 'webgpu');
  const moved = bytesMoved(view);
  const naiveMs = trial.value?.find(({ name }) => name === 'naive')?.timeMs;
  const lanes = trial.value?.map(({ name, timeMs, extraBytes, differsFromFused }) => ({
    name: forms[name],
    value: timeMs,
    shown: timeMs === undefined ? '–' : milliseconds(timeMs),
    own: name === 'fused',
    note: [
      timeMs && naiveMs && name !== 'naive' && against(naiveMs, timeMs),
      `${bytes(extraBytes)} allocated beside the output`,
      `${bytes(name === 'naive' || name === 'unfused' ? moved.unfused : moved.fused)} to read and write at least`,
      name === 'fused' || name === 'dense'
        ? undefined
        : `output differs from the fused one by ${three(100 * differsFromFused)} % of its norm`,
    ]
      .filter(Boolean)
      .join(' · '),
  }));
  return (
    <section aria-label="Race">
      <p className="lab-title">Race: three ways to compute the same, on your GPU</p>
      {lanes ? (
        <Lanes label="Median time of a lap" lanes={lanes} testId="race" />
      ) : (
        <p className="lab-note">
          Same input, same neighbours, WebGPU in f32. Two of the forms store a weight for every neighbour of
          every token; the third stores none.
        </p>
      )}
      <TrialBar trial={trial} label="Race them">
        <Switch
          label="dense lane too"
          help="dense attention as a fourth lane"
          on={dense}
          onChange={setDense}
        />
      </TrialBar>
    </section>
  );
}

const against = (naiveMs: number, timeMs: number) =>
  timeMs <= naiveMs
    ? `${three(naiveMs / timeMs)} times faster than naive`
    : `${three(timeMs / naiveMs)} times slower than naive`;

const neighboursOf = ({ grid, options }: LabView<Options>) =>
  grid.reduce((all, _, axis) => all * (options.window[axis] ?? options.window[0]), 1);

/** The least that must be read and written: tensors once; stored weights are written, read and written by the softmax, read. */
function bytesMoved(view: LabView<Options>) {
  const [, heads, tokens, headDim] = view.data.shape;
  const fused = 4 * heads * tokens * headDim * 4;
  const weights = heads * tokens * neighboursOf(view) * 4;
  return { fused, weights, unfused: fused + 4 * weights };
}

function Cost({ view }: { view: LabView<Options> }) {
  const tokens = view.data.shape[2];
  const window = neighboursOf(view);
  const { fused, weights, unfused } = bytesMoved(view);
  return (
    <section aria-label="Cost">
      <p className="lab-title">What fusing saves, by arithmetic</p>
      <dl>
        <Fact name="Neighbours a query">
          {window} of {tokens}: {three(tokens / window)} times less work than dense, at best
        </Fact>
        <Fact name="Memory read and written">
          {bytes(fused)} in one kernel: query, key, value and output once each
        </Fact>
        <Fact name="Without fusing">
          {bytes(unfused)}: scores are written, turned to weights and read again, {three(unfused / fused)}{' '}
          times as much
        </Fact>
        <Fact name="Kept in memory">nothing; without fusing {bytes(weights)} of weights</Fact>
        <Fact name="Tile">
          on average{' '}
          {view.pattern && percent(1 - view.pattern.density / Math.max(view.pattern.visitedShare, 1e-12))} of
          the scores are computed for neighbours of other queries in the tile
        </Fact>
      </dl>
    </section>
  );
}
