import { outline } from '../kit/lab/draw.ts';
import { LabFrame } from '../kit/lab/frame.tsx';
import { boxOf } from '../kit/lab/overlays.ts';
import { bytes, Fact, percent, three } from '../kit/lab/readout.tsx';
import type { LabSpec, LabView } from '../kit/lab/spec.ts';
import { TileMap } from '../kit/lab/tile-map.tsx';
import { haloGeometry, neighbourhood } from './blocks.ts';
import { type Options, paper } from './paper.ts';

const spec: LabSpec<Options> = {
  paper,
  question:
    'Pixels at the edge of a block see less than those in its middle: how wide must the halo be to mend that?',
  main: ['halo', 'blockSize'],
  hidden: ['pad', 'averageDown', 'centredRadius', 'scalePosition'],
  preset: () => ({ pad: true }),
  planning: 'once',
  hints: ([rows]) => ({
    blockSize: { min: 2, max: 16, step: 2 },
    halo: { max: Math.min(12, Math.floor(rows / 2)) },
  }),
  tries: [
    {
      label: 'No halo: blocks that know nothing of each other',
      settings: { options: { halo: 0 }, show: 'difference' },
    },
    { label: 'A halo as wide as the block', settings: { options: { blockSize: 8, halo: 8 } } },
    {
      label: 'At the border: zeros that take part, or a mask',
      settings: { options: { border: 'mask' }, at: 0, show: 'attention' },
    },
  ],
  overlay: (view) => (context, layout, inks) => {
    const { block, window } = neighbourhood(view.data.shape[2], view.options, view.query);
    outline(context, layout, boxOf(window), inks.accent, true);
    outline(context, layout, boxOf(block), inks.accent);
  },
  Panels,
};

export function Lab() {
  return <LabFrame spec={spec} />;
}

/** Side of the window that the cost is set beside: Swin's. */
const SWIN_SIDE = 7;

function Panels({ view }: { view: LabView<Options> }) {
  const { options, data, query } = view;
  const [, heads, tokens, headDim] = data.shape;
  const { asks, keysPerQuery, overlap } = neighbourhood(tokens, options, query);
  const { windowSide, queryStep } = haloGeometry(tokens, options);
  const queries = tokens / queryStep ** 2;
  const ratio = keysPerQuery / SWIN_SIDE ** 2;
  return (
    <>
      <section aria-label="Counts">
        <p className="lab-title">
          Blocks of {options.blockSize} × {options.blockSize} pixels, windows of {windowSide} × {windowSide}
        </p>
        <dl>
          <Fact name="Keys a query">
            {keysPerQuery} of {tokens}
            {asks ? '' : '; with stride 2 this pixel asks nothing'}
          </Fact>
          <Fact name="Overlap of windows">
            {three(overlap)} times: a key is read by that many blocks on average ((b + 2h)² / b²)
          </Fact>
          <Fact name="Work beside dense">
            {percent((queries * keysPerQuery) / (tokens * tokens))} of the pairs, borders included
          </Fact>
          <Fact name={`Work beside ${SWIN_SIDE} × ${SWIN_SIDE} windows`}>
            {three(ratio)} times (windows that do not overlap, as in Swin)
          </Fact>
          <Fact name="Not copied">
            {bytes(overlap * tokens * heads * headDim * 2 * 4)} that unfolding keys and values would take; the
            kernel reads them where they lie
          </Fact>
        </dl>
      </section>
      {view.pattern && <TileMap pattern={view.pattern} query={query} tokens={tokens} />}
    </>
  );
}
