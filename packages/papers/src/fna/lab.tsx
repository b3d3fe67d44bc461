import { LabFrame } from '../kit/lab/frame.tsx';
import { outlineTile } from '../kit/lab/overlays.ts';
import { bytes, Fact, percent, three } from '../kit/lab/readout.tsx';
import type { LabSpec, LabView } from '../kit/lab/spec.ts';
import { TileMap } from '../kit/lab/tile-map.tsx';
import { type Options, paper } from './paper.ts';

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
  const { options, grid, data } = view;
  const [, heads, tokens, headDim] = data.shape;
  const window = grid.reduce((all, _, axis) => all * (options.window[axis] ?? options.window[0]), 1);
  const fused = 4 * heads * tokens * headDim * 4;
  const weights = 2 * heads * tokens * window * 4;
  return (
    <>
      {view.pattern && <TileMap pattern={view.pattern} query={view.query} tokens={tokens} />}
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
            {bytes(fused + weights)}: the weights go to memory and come back,{' '}
            {three((fused + weights) / fused)} times as much
          </Fact>
          <Fact name="Kept in memory">nothing; without fusing {bytes(weights / 2)} of weights</Fact>
          <Fact name="Tile">
            on average{' '}
            {view.pattern && percent(1 - view.pattern.density / Math.max(view.pattern.visitedShare, 1e-12))}{' '}
            of the scores are computed for neighbours of other queries in the tile
          </Fact>
        </dl>
      </section>
    </>
  );
}
